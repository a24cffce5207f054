#include "roi_pool/roi_pool_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                      \
  template void launch_roi_pool(Strided<const T>, const Extent&, const acc_t<T>*, int64_t,  \
                                const RoiPoolOptions&, Strided<T>, int32_t*, cudaStream_t); \
  template void launch_roi_pool_backward(Strided<const T>, Strided<const int32_t>,          \
                                         const acc_t<T>*, int64_t, const RoiPoolOptions&,   \
                                         Strided<T>, const Extent&, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
