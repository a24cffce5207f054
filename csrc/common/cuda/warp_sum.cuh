// Sums over neighbouring lanes of a warp.
#pragma once

#include "common/cuda/launch.cuh"

namespace fastcv::cuda {

// The sum over `lanes` neighbours, a power of two, for each of them: in a fixed order.
template <typename T>
__device__ __forceinline__ T warp_sum(T value, int lanes = 32) {
  for (int step = lanes / 2; step > 0; step /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, step, lanes);
  }
  return value;
}

}  // namespace fastcv::cuda
