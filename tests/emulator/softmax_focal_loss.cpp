// The CUDA kernels of softmax_focal_loss and its gradient on the CPU, for ctypes.
#include <cstdint>

#include "softmax_focal_loss/softmax_focal_loss_kernel.cuh"

using namespace fastcv;

namespace {

// shape and strides: those of x, in elements. One of the targets is null.
template <typename T>
cuda::SoftmaxFocalArguments<T> arguments(const T* x, const int64_t* shape, const int64_t* strides,
                                         const int64_t* indices, const T* probabilities,
                                         const acc_t<T>* class_alpha, const acc_t<T>* weight,
                                         double alpha, double gamma) {
  using Acc = acc_t<T>;
  return {x,
          shape[0],
          shape[1],
          strides[0],
          strides[1],
          indices,
          probabilities,
          /*ignore_index=*/-100,
          class_alpha,
          weight,
          static_cast<Acc>(alpha),
          static_cast<Acc>(gamma)};
}

}  // namespace

extern "C" int64_t softmax_focal_loss_parts(int64_t rows, int64_t classes) {
  return cuda::softmax_focal_parts(rows, classes);
}

#define SOFTMAX_FOCAL_LOSS(name, T)                                                                \
  extern "C" void softmax_focal_loss_##name(                                                       \
      const T* x, const int64_t* shape, const int64_t* strides, const int64_t* indices,            \
      const T* probabilities, const acc_t<T>* class_alpha, const acc_t<T>* weight, double alpha,   \
      double gamma, int reduce, T* loss, acc_t<T>* parts, acc_t<T>* sum, acc_t<T>* count) {        \
    const auto a =                                                                                 \
        arguments(x, shape, strides, indices, probabilities, class_alpha, weight, alpha, gamma);   \
    if (reduce == 0) {                                                                             \
      cuda::launch_softmax_focal_loss(a, loss, cudaStream_t{});                                    \
    } else {                                                                                       \
      cuda::launch_softmax_focal_loss_sum(a, parts, sum, count, cudaStream_t{});                   \
    }                                                                                              \
  }                                                                                                \
  extern "C" void softmax_focal_loss_backward_##name(                                              \
      const T* x, const int64_t* shape, const int64_t* strides, const int64_t* indices,            \
      const T* probabilities, const acc_t<T>* class_alpha, const acc_t<T>* weight, double alpha,   \
      double gamma, const acc_t<T>* grad, int64_t grad_stride, T* grad_x) {                        \
    const auto a =                                                                                 \
        arguments(x, shape, strides, indices, probabilities, class_alpha, weight, alpha, gamma);   \
    cuda::launch_softmax_focal_loss_backward(grad, grad_stride, a, grad_x, strides[0], strides[1], \
                                             cudaStream_t{});                                      \
  }
SOFTMAX_FOCAL_LOSS(float64, double)
SOFTMAX_FOCAL_LOSS(float32, float)
SOFTMAX_FOCAL_LOSS(float16, __half)
SOFTMAX_FOCAL_LOSS(bfloat16, __nv_bfloat16)
