// The exponential in the type of its argument.
#pragma once

#include <cmath>

#include "common/cuda/launch.cuh"

namespace fastcv::cuda {

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }

}  // namespace fastcv::cuda
