// The CUDA kernels of sigmoid_focal_loss and its gradient on the CPU, for ctypes.
#include <cstdint>

#include "sigmoid_focal_loss/sigmoid_focal_loss_kernel.cuh"

using namespace fastcv;

#define SIGMOID_FOCAL_LOSS(name, T, Target)                                                     \
  extern "C" void sigmoid_focal_loss_##name(                                                    \
      const T* x, const Target* targets, const acc_t<T>* weight, int64_t weight_run, int64_t n, \
      double alpha, double gamma, int reduce, T* loss, acc_t<T>* parts, acc_t<T>* sum) {        \
    using Acc = acc_t<T>;                                                                       \
    const cuda::SigmoidFocalArguments<T, Target> a{                                             \
        x, targets, weight, weight_run, n, static_cast<Acc>(alpha), static_cast<Acc>(gamma)};   \
    if (reduce == 0) {                                                                          \
      cuda::launch_sigmoid_focal_loss(a, loss, cudaStream_t{});                                 \
    } else {                                                                                    \
      cuda::launch_sigmoid_focal_loss_sum(a, parts, sum, cudaStream_t{});                       \
    }                                                                                           \
  }                                                                                             \
  extern "C" void sigmoid_focal_loss_backward_##name(                                           \
      const T* grad, const acc_t<T>* one_grad, const T* x, const Target* targets,               \
      const acc_t<T>* weight, int64_t weight_run, int64_t n, double alpha, double gamma,        \
      T* grad_x) {                                                                              \
    using Acc = acc_t<T>;                                                                       \
    const cuda::SigmoidFocalArguments<T, Target> a{                                             \
        x, targets, weight, weight_run, n, static_cast<Acc>(alpha), static_cast<Acc>(gamma)};   \
    cuda::launch_sigmoid_focal_loss_backward(grad, one_grad, a, grad_x, cudaStream_t{});        \
  }
SIGMOID_FOCAL_LOSS(float64, double, double)
SIGMOID_FOCAL_LOSS(float32, float, float)
SIGMOID_FOCAL_LOSS(float32_bool, float, uint8_t)
SIGMOID_FOCAL_LOSS(float16, __half, __half)
SIGMOID_FOCAL_LOSS(float16_float32, __half, float)
SIGMOID_FOCAL_LOSS(bfloat16, __nv_bfloat16, __nv_bfloat16)
