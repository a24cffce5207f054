#include "sigmoid_focal_loss/sigmoid_focal_loss_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T, Target)                                                                    \
  template void launch_sigmoid_focal_loss(const SigmoidFocalArguments<T, Target>&, T*,            \
                                          cudaStream_t);                                          \
  template void launch_sigmoid_focal_loss_sum(const SigmoidFocalArguments<T, Target>&, acc_t<T>*, \
                                              acc_t<T>*, cudaStream_t);                           \
  template void launch_sigmoid_focal_loss_backward(                                               \
      const T*, const acc_t<T>*, const SigmoidFocalArguments<T, Target>&, T*, cudaStream_t);
INSTANTIATE(double, uint8_t)
INSTANTIATE(double, double)
INSTANTIATE(float, uint8_t)
INSTANTIATE(float, float)
INSTANTIATE(__half, uint8_t)
INSTANTIATE(__half, float)
INSTANTIATE(__half, __half)
INSTANTIATE(__nv_bfloat16, uint8_t)
INSTANTIATE(__nv_bfloat16, float)
INSTANTIATE(__nv_bfloat16, __nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
