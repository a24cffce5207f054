#include "softmax_focal_loss/softmax_focal_loss_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                           \
  template void launch_softmax_focal_loss(const SoftmaxFocalArguments<T>&, T*, cudaStream_t);    \
  template void launch_softmax_focal_loss_sum(const SoftmaxFocalArguments<T>&, acc_t<T>*,        \
                                              acc_t<T>*, acc_t<T>*, cudaStream_t);               \
  template void launch_softmax_focal_loss_backward(const acc_t<T>*, int64_t,                     \
                                                   const SoftmaxFocalArguments<T>&, T*, int64_t, \
                                                   int64_t, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
