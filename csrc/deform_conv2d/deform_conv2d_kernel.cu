#include "deform_conv2d/deform_conv2d_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                \
  template void launch_deform_columns(const DeformShape&, const DeformWindow&,        \
                                      const DeformPositions<T>&, Pixels<const T>, T*, \
                                      cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
