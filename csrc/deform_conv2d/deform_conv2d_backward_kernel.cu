#include "deform_conv2d/deform_conv2d_backward_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                      \
  template void launch_deform_gradients(const DeformShape&, const DeformWindow&,            \
                                        const DeformPositions<T>&, Pixels<const T>,         \
                                        const DeformGradients<T>&, cudaStream_t);           \
  template void launch_deform_ordered_scatter(const DeformShape&, const DeformWindow&,      \
                                              const DeformPositions<T>&, Sample<acc_t<T>>*, \
                                              const T*, Pixels<acc_t<T>>, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
