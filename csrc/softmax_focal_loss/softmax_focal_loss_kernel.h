// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

template <typename T>
struct SoftmaxFocalArguments {
  const T* x;  // [rows, classes], strides in elements
  int64_t rows, classes, row_stride, class_stride;
  const int64_t* indices;  // [rows], or null
  const T* probabilities;  // [rows, classes] dense, or null
  int64_t ignore_index;
  const acc_t<T>* class_alpha;  // [classes], or null
  const acc_t<T>* weight;       // [rows], or null
  acc_t<T> alpha, gamma;
};

// How many partial sums, and counts, launch_softmax_focal_loss_sum leaves in `parts`.
int64_t softmax_focal_parts(int64_t rows, int64_t classes);

template <typename T>
void launch_softmax_focal_loss(const SoftmaxFocalArguments<T>& arguments, T* loss,
                               cudaStream_t stream);

template <typename T>
void launch_softmax_focal_loss_sum(const SoftmaxFocalArguments<T>& arguments, acc_t<T>* parts,
                                   acc_t<T>* sum, acc_t<T>* count, cudaStream_t stream);

// grad is `grad_stride` apart, 0 or 1; grad_x has strides of its own.
template <typename T>
void launch_softmax_focal_loss_backward(const acc_t<T>* grad, int64_t grad_stride,
                                        const SoftmaxFocalArguments<T>& arguments, T* grad_x,
                                        int64_t grad_row_stride, int64_t grad_class_stride,
                                        cudaStream_t stream);

}  // namespace fastcv::cuda
