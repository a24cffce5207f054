#include "vq_codes/vq_codes_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                           \
  template void launch_vq_nearest(StridedRows<T>, int64_t, StridedRows<T>, int64_t, int64_t,     \
                                  int64_t*, cudaStream_t);                                       \
  template void launch_vq_sums(StridedRows<T>, const int64_t*, const int64_t*, int64_t, int64_t, \
                               int64_t*, acc_t<T>*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
