#include "atrous_separable_conv2d/atrous_separable_conv2d_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                     \
  template void launch_separable(Strided<const T>, const T*, const T*, const T*, const T*, \
                                 Strided<T>, const SeparableShape&, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
