// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

// Line (o, k) has its pixels at o * length * inner + i * inner + k; `backwards`: from the last one.
struct CornerPoolLines {
  int64_t outer, length, inner;
  bool backwards;
};

template <typename T>
void launch_corner_pool(const CornerPoolLines& lines, const T* input, T* output,
                        cudaStream_t stream);

template <typename T>
void launch_corner_pool_backward(const CornerPoolLines& lines, const T* grad, const T* input,
                                 const T* output, T* grad_input, cudaStream_t stream);

}  // namespace fastcv::cuda
