#include "corner_pool/corner_pool_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                            \
  template void launch_corner_pool(const CornerPoolLines&, const T*, T*, cudaStream_t);           \
  template void launch_corner_pool_backward(const CornerPoolLines&, const T*, const T*, const T*, \
                                            T*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
