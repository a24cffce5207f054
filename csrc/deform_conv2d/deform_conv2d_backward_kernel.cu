#include "deform_conv2d/deform_conv2d_backward_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                             \
  template void launch_deform_samples(const DeformShape&, const DeformWindow&,                     \
                                      const DeformPositions<T>&, Sample<acc_t<T>>*, cudaStream_t); \
  template void launch_deform_columns(const DeformShape&, const DeformWindow&,                     \
                                      const Sample<acc_t<T>>*, Pixels<const T>, T*, cudaStream_t); \
  template void launch_deform_position_gradients(                                                  \
      const DeformShape&, const DeformWindow&, const DeformPositions<T>&, const Sample<acc_t<T>>*, \
      Pixels<const T>, const T*, T*, T*, cudaStream_t);                                            \
  template void launch_deform_scatter(const DeformShape&, const DeformWindow&,                     \
                                      const Sample<acc_t<T>>*, const T*, bool, Pixels<acc_t<T>>,   \
                                      cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
