#include "deform_conv2d/deform_conv2d_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                    \
  template void launch_deform_conv2d(const DeformShape&, Pixels<const T>,                 \
                                     const DeformPositions<T>&, const T*, const T*, bool, \
                                     Strided<T>, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
