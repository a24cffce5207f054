// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernel (compiled
// by nvcc, without torch).
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

template <typename T>
void launch_identity(const T* x, T* y, int64_t n, cudaStream_t stream);

}  // namespace fastcv::cuda
