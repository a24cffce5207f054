// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernel.
#pragma once

#include <cstdint>

#include "atrous_separable_conv2d/separable_shape.h"
#include "common/cuda/cuda_types.h"
#include "common/cuda/strided.h"

namespace fastcv::cuda {

// depthwise is [kh, kw, channels], pointwise [out_channels, channels]. Biases may be null.
template <typename T>
void launch_separable(Strided<const T> input, const T* depthwise, const T* depthwise_bias,
                      const T* pointwise, const T* pointwise_bias, Strided<T> output,
                      const SeparableShape& shape, cudaStream_t stream);

}  // namespace fastcv::cuda
