// Sums in a fixed order: a block writes its part, and a last block adds the parts. No atomics, so
// the same bits at every run.
#pragma once

#include <cstdint>

#include "common/cuda/launch.cuh"
#include "common/cuda/warp_sum.cuh"

namespace fastcv::cuda {

// The sum of `value` over the `threads` threads of a block, a multiple of 32, for thread 0.
template <int threads, typename T>
__device__ T block_sum(T value) {
  FASTCV_SHARED(T, of_warp, [threads / 32]);
  value = warp_sum(value);
  __syncthreads();  // of_warp may still be read from the last call
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  T sum = 0;
  if (threadIdx.x == 0) {
    for (const T part : of_warp) sum += part;
  }
  return sum;
}

// Block b adds the `count` numbers of parts[b * count ..] into result b.
template <typename T>
__global__ void __launch_bounds__(256)
    sum_parts_kernel(const T* __restrict__ parts, int64_t count, T* first, T* second) {
  T sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += 256) sum += parts[blockIdx.x * count + i];
  sum = block_sum<256>(sum);
  if (threadIdx.x == 0) *(blockIdx.x == 0 ? first : second) = sum;
}

// `second` may be null: then there is one row of parts.
template <typename T>
void launch_sum_parts(const T* parts, int64_t count, T* first, T* second, cudaStream_t stream) {
  launch(sum_parts_kernel<T>, dim3(second == nullptr ? 1 : 2), dim3(256), 0, stream, parts, count,
         first, second);
}

}  // namespace fastcv::cuda
