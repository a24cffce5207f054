// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "correlation/correlation_shape.h"

namespace fastcv::cuda {

// All tensors are dense NCHW; none is empty.
template <typename T>
void launch_correlation(const CorrelationShape& shape, const T* a, const T* b, T* output,
                        cudaStream_t stream);

// The gradient of a, with other = b; `turned`: that of b, with other = a.
template <typename T>
void launch_correlation_gradient(const CorrelationShape& shape, const T* grad, bool turned,
                                 const T* other, T* out, cudaStream_t stream);

}  // namespace fastcv::cuda
