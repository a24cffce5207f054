// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/cuda/strided.h"
#include "conv_transpose2d/transposed_shape.h"

namespace fastcv::cuda {

// weight is [groups, columns, channels of a group], a column for each (d, i, j).
template <typename T>
void launch_no_overlap(Strided<const T> input, const T* weight, const T* bias, Strided<T> output,
                       const TransposedShape& shape, cudaStream_t stream);

// weight is [channels, kh, kw], or [kh, kw, channels] where `channels_last`.
template <typename T>
void launch_depthwise_transposed(Strided<const T> input, const T* weight, const T* bias,
                                 Strided<T> output, const TransposedShape& shape,
                                 bool channels_last, cudaStream_t stream);

}  // namespace fastcv::cuda
