// As many lanes as fit the classes, up to a warp, take a row: a maximum, a sum, and what each class
// makes of them. The row stays in the L1 cache between.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/warp_sum.cuh"
#include "common/focal/block_sum.cuh"
#include "common/focal/focal.cuh"
#include "common/host/ceil_div.h"
#include "softmax_focal_loss/softmax_focal_loss_kernel.h"

namespace fastcv::cuda {

namespace softmax_focal {
constexpr int threads = 128;
}  // namespace softmax_focal

// What all of a row's lanes know of it. `rest` is the sum of e^(x - max) without one logit that is
// largest: both 1 - p and log(p) of that one come from it without cancellation.
template <typename T>
struct SoftmaxRow {
  using Acc = acc_t<T>;
  const T* x;
  int64_t class_stride;
  Acc max, rest, log_sum;

  // `there`: whether the row exists. Lanes of rows that do not take part in the shuffles.
  __device__ SoftmaxRow(const SoftmaxFocalArguments<T>& a, int64_t row, bool there, int lane,
                        int lanes)
      : x(a.x + (there ? row : 0) * a.row_stride), class_stride(a.class_stride) {
    const int64_t classes = there ? a.classes : 0;
    max = -infinity();
    for (int64_t c = lane; c < classes; c += lanes) max = at(c) > max ? at(c) : max;
    for (int step = lanes / 2; step > 0; step /= 2) {
      const Acc other = __shfl_xor_sync(0xffffffffu, max, step, lanes);
      max = other > max ? other : max;
    }
    Acc sum = 0, largest = 0;
    for (int64_t c = lane; c < classes; c += lanes) {
      const Acc v = at(c);
      if (v == max) {
        ++largest;
      } else {
        sum += exponential(v - max);
      }
    }
    rest = warp_sum(sum, lanes) + (warp_sum(largest, lanes) - 1);
    // No logit is the largest where all are NaN, or infinite.
    if (!(max <= max_finite<Acc>() && max >= -max_finite<Acc>()))
      rest = max - max + infinity() - infinity();
    log_sum = log1p(rest);
  }

  __device__ static Acc infinity() { return 2 * max_finite<Acc>(); }
  __device__ Acc at(int64_t c) const { return widen(x[c * class_stride]); }
  __device__ Acc probability(int64_t c) const { return exponential(at(c) - max) / (1 + rest); }
};

template <typename Acc>
struct FocalClass {
  Acc p, q, log_p;  // q = 1 - p

  template <typename T>
  __device__ FocalClass(const SoftmaxRow<T>& row, int64_t c) : p(row.probability(c)) {
    const Acc x = row.at(c);
    q = x == row.max ? row.rest / (1 + row.rest) : 1 - p;
    log_p = (x - row.max) - row.log_sum;
    log_p = log_p < -max_finite<Acc>() ? -max_finite<Acc>() : log_p;  // 0 times this is 0
  }

  __device__ Acc loss(Acc gamma) const { return -log_p * power(q, gamma); }

  // By log p: q^gamma (gamma p log(p) / q - 1), where log(p) / q goes to -1 with q to 0.
  __device__ Acc derivative(Acc gamma) const {
    const Acc p_log_p = p == 0 ? Acc(0) : p * log_p;
    if (gamma == 2) return q * fma(gamma, p_log_p, -q);
    const Acc ratio = q < min_normal<Acc>() ? Acc(-1) : p_log_p / q;
    return power(q, gamma) * fma(gamma, ratio, Acc(-1));
  }
};

template <typename T>
__device__ acc_t<T> alpha_of(const SoftmaxFocalArguments<T>& a, int64_t c) {
  return a.class_alpha == nullptr ? acc_t<T>(1) : a.class_alpha[c];
}

// The row's factor beside that of its class; 0 for rows that count for nothing.
template <typename T>
__device__ acc_t<T> row_weight(const SoftmaxFocalArguments<T>& a, int64_t row) {
  if (a.indices != nullptr && a.indices[row] == a.ignore_index) return 0;
  return a.alpha * (a.weight == nullptr ? acc_t<T>(1) : a.weight[row]);
}

template <typename T>
__device__ bool is_class(const SoftmaxFocalArguments<T>& a, int64_t index) {
  return index >= 0 && index < a.classes;
}

// The row's loss, weighed, in every one of its lanes.
template <typename T>
__device__ acc_t<T> row_loss(const SoftmaxFocalArguments<T>& a, int64_t row, bool there, int lane,
                             int lanes) {
  using Acc = acc_t<T>;
  const SoftmaxRow<T> s(a, row, there, lane, lanes);
  Acc loss = 0;
  if (a.probabilities != nullptr) {
    for (int64_t c = lane; there && c < a.classes; c += lanes) {
      const Acc t = widen(a.probabilities[row * a.classes + c]);
      if (t != 0) loss += FocalClass<Acc>(s, c).loss(a.gamma) * t * alpha_of(a, c);
    }
    loss = warp_sum(loss, lanes);
  }
  const Acc weight = there ? row_weight(a, row) : Acc(0);
  if (weight == 0) return 0;
  if (a.probabilities == nullptr) {
    const int64_t c = a.indices[row];
    if (!is_class(a, c)) return s.infinity() - s.infinity();
    loss = FocalClass<Acc>(s, c).loss(a.gamma) * alpha_of(a, c);
  }
  return loss * weight;
}

template <typename T>
__global__ void __launch_bounds__(softmax_focal::threads)
    softmax_focal_loss_kernel(SoftmaxFocalArguments<T> a, int lanes, T* __restrict__ loss) {
  const int lane = threadIdx.x % lanes;
  const int64_t row = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / lanes;
  const acc_t<T> value = row_loss(a, row, row < a.rows, lane, lanes);
  if (lane == 0 && row < a.rows) loss[row] = narrow<T>(value);
}

// parts: [2, gridDim.x], sums and counts.
template <typename T>
__global__ void __launch_bounds__(softmax_focal::threads)
    softmax_focal_loss_sum_kernel(SoftmaxFocalArguments<T> a, int lanes,
                                  acc_t<T>* __restrict__ parts) {
  using Acc = acc_t<T>;
  const int lane = threadIdx.x % lanes;
  const int64_t row = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / lanes;
  const bool there = row < a.rows;
  const Acc value = row_loss(a, row, there, lane, lanes);
  const bool counts =
      there && lane == 0 && (a.indices == nullptr || a.indices[row] != a.ignore_index);
  const Acc sum = block_sum<softmax_focal::threads>(lane == 0 ? value : Acc(0));
  const Acc count = block_sum<softmax_focal::threads>(counts ? Acc(1) : Acc(0));
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = sum;
    parts[gridDim.x + blockIdx.x] = count;
  }
}

template <typename T>
__global__ void __launch_bounds__(softmax_focal::threads)
    softmax_focal_loss_backward_kernel(const acc_t<T>* __restrict__ grad, int64_t grad_stride,
                                       SoftmaxFocalArguments<T> a, int lanes,
                                       T* __restrict__ grad_x, int64_t grad_row_stride,
                                       int64_t grad_class_stride) {
  using Acc = acc_t<T>;
  const int lane = threadIdx.x % lanes;
  const int64_t row = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / lanes;
  const bool there = row < a.rows;
  const SoftmaxRow<T> s(a, row, there, lane, lanes);
  Acc scale = there ? row_weight(a, row) : Acc(0);
  if (scale != 0) scale *= grad[row * grad_stride];
  const auto derivative = [&](int64_t c, Acc factor) {
    factor *= scale * alpha_of(a, c);
    return factor == 0 ? Acc(0) : factor * FocalClass<Acc>(s, c).derivative(a.gamma);
  };
  // The gradient by x_c is d_c - p_c sum(d), d_c being that by log(p_c).
  Acc sum = 0;
  if (a.probabilities != nullptr) {
    for (int64_t c = lane; there && c < a.classes; c += lanes) {
      sum += derivative(c, widen(a.probabilities[row * a.classes + c]));
    }
    sum = warp_sum(sum, lanes);
  }
  if (!there) return;
  const int64_t index = a.indices == nullptr ? -1 : a.indices[row];
  Acc at_index = 0;
  if (a.indices != nullptr && scale != 0) {
    sum = is_class(a, index) ? derivative(index, 1) : s.infinity() - s.infinity();
    if (is_class(a, index)) at_index = sum == 0 ? Acc(0) : sum * FocalClass<Acc>(s, index).q;
  }
  T* out = grad_x + row * grad_row_stride;
  for (int64_t c = lane; c < a.classes; c += lanes) {
    Acc value = scale == 0 ? Acc(0) : -s.probability(c) * sum;
    if (a.probabilities != nullptr) {
      value += derivative(c, widen(a.probabilities[row * a.classes + c]));
    } else if (c == index) {
      value = at_index;
    }
    out[c * grad_class_stride] = narrow<T>(value);
  }
}

// Of a row: a power of two up to 32.
inline int softmax_focal_lanes(int64_t classes) {
  int lanes = 1;
  while (lanes < 32 && lanes < classes) lanes *= 2;
  return lanes;
}

int64_t softmax_focal_parts(int64_t rows, int64_t classes) {
  const int64_t per_block = softmax_focal::threads / softmax_focal_lanes(classes);
  return ceil_div(rows, per_block);
}

template <typename T>
void launch_softmax_focal_loss(const SoftmaxFocalArguments<T>& a, T* loss, cudaStream_t stream) {
  const int64_t blocks = softmax_focal_parts(a.rows, a.classes);
  if (blocks == 0) return;
  launch(softmax_focal_loss_kernel<T>, dim3(static_cast<unsigned>(blocks)),
         dim3(softmax_focal::threads), 0, stream, a, softmax_focal_lanes(a.classes), loss);
}

template <typename T>
void launch_softmax_focal_loss_sum(const SoftmaxFocalArguments<T>& a, acc_t<T>* parts,
                                   acc_t<T>* sum, acc_t<T>* count, cudaStream_t stream) {
  const int64_t blocks = softmax_focal_parts(a.rows, a.classes);
  if (blocks > 0) {
    launch(softmax_focal_loss_sum_kernel<T>, dim3(static_cast<unsigned>(blocks)),
           dim3(softmax_focal::threads), 0, stream, a, softmax_focal_lanes(a.classes), parts);
  }
  launch_sum_parts<acc_t<T>>(parts, blocks, sum, count, stream);
}

template <typename T>
void launch_softmax_focal_loss_backward(const acc_t<T>* grad, int64_t grad_stride,
                                        const SoftmaxFocalArguments<T>& a, T* grad_x,
                                        int64_t grad_row_stride, int64_t grad_class_stride,
                                        cudaStream_t stream) {
  const int64_t blocks = softmax_focal_parts(a.rows, a.classes);
  if (blocks == 0) return;
  launch(softmax_focal_loss_backward_kernel<T>, dim3(static_cast<unsigned>(blocks)),
         dim3(softmax_focal::threads), 0, stream, grad, grad_stride, a,
         softmax_focal_lanes(a.classes), grad_x, grad_row_stride, grad_class_stride);
}

}  // namespace fastcv::cuda
