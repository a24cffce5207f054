// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// Dense tensors of n elements in one order.
template <typename T, typename Target>
struct SigmoidFocalArguments {
  const T* x;
  const Target* targets;
  const acc_t<T>* weight;  // of every `weight_run` elements, or null
  int64_t weight_run, n;
  acc_t<T> alpha, gamma;
};

// How many partial sums launch_sigmoid_focal_loss_sum leaves in `parts`.
int64_t sigmoid_focal_parts(int64_t n);

// loss[i] for all elements.
template <typename T, typename Target>
void launch_sigmoid_focal_loss(const SigmoidFocalArguments<T, Target>& arguments, T* loss,
                               cudaStream_t stream);

template <typename T, typename Target>
void launch_sigmoid_focal_loss_sum(const SigmoidFocalArguments<T, Target>& arguments,
                                   acc_t<T>* parts, acc_t<T>* sum, cudaStream_t stream);

// grad_x[i] from grad[i], or from the one number `one_grad` where `grad` is null.
template <typename T, typename Target>
void launch_sigmoid_focal_loss_backward(const T* grad, const acc_t<T>* one_grad,
                                        const SigmoidFocalArguments<T, Target>& arguments,
                                        T* grad_x, cudaStream_t stream);

}  // namespace fastcv::cuda
