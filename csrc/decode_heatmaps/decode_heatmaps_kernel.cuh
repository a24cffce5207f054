// A block has a heatmap: its threads look for the highest cell together, and one reads the place.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "decode_heatmaps/decode_heatmaps_kernel.h"

namespace fastcv::cuda {

// A cell and its value. NaN is above all.
template <typename Acc>
struct Cell {
  Acc value;
  int32_t index;

  __device__ bool is_nan() const { return value != value; }

  __device__ bool above(const Cell& other) const {
    if (is_nan() || other.is_nan()) return is_nan() && !other.is_nan();
    return value > other.value || (value == other.value && index < other.index);
  }
};

template <typename T>
__global__ void __launch_bounds__(256)
    decode_heatmaps_kernel(const T* __restrict__ heatmaps, int32_t height, int32_t width,
                           PeakKind kind, T* __restrict__ points, T* __restrict__ scores) {
  using Acc = acc_t<T>;
  constexpr int warps = 8;
  FASTCV_SHARED(Acc, values, [warps]);
  FASTCV_SHARED(int32_t, indices, [warps]);
  const int32_t cells = height * width, thread = static_cast<int32_t>(threadIdx.x);
  const T* own = heatmaps + int64_t{blockIdx.x} * cells;
  const auto at = [=](int32_t i) { return widen(own[i]); };
  const int32_t first = thread < cells ? thread : 0;
  Cell<Acc> best{at(first), first};
  for (int64_t i = int64_t{thread} + 32 * warps; i < cells; i += 32 * warps) {
    const Cell<Acc> other{at(static_cast<int32_t>(i)), static_cast<int32_t>(i)};
    if (other.above(best)) best = other;
  }
  for (int step = 16; step > 0; step /= 2) {
    const Cell<Acc> other{__shfl_xor_sync(0xffffffffu, best.value, step),
                          __shfl_xor_sync(0xffffffffu, best.index, step)};
    if (other.above(best)) best = other;
  }
  if (threadIdx.x % 32 == 0) {
    values[threadIdx.x / 32] = best.value, indices[threadIdx.x / 32] = best.index;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int warp = 1; warp < warps; ++warp) {
    const Cell<Acc> other{values[warp], indices[warp]};
    if (other.above(best)) best = other;
  }
  const int32_t row = best.index / width, column = best.index % width;
  const Acc score = best.value;
  Acc x = best.is_nan() ? score : static_cast<Acc>(column);
  Acc y = best.is_nan() ? score : static_cast<Acc>(row);
  if (score > 0 && score - score == 0) {
    x = top_of_bump<Acc>(column, width, score, kind,
                         [=](int32_t j) { return at(row * width + j); });
    y = top_of_bump<Acc>(row, height, score, kind,
                         [=](int32_t j) { return at(j * width + column); });
  }
  points[2 * blockIdx.x] = narrow<T>(x), points[2 * blockIdx.x + 1] = narrow<T>(y);
  scores[blockIdx.x] = narrow<T>(score);
}

template <typename T>
void launch_decode_heatmaps(const T* heatmaps, int64_t count, int32_t height, int32_t width,
                            PeakKind kind, T* points, T* scores, cudaStream_t stream) {
  launch(decode_heatmaps_kernel<T>, dim3(static_cast<unsigned>(count)), dim3(256), 0, stream,
         heatmaps, height, width, kind, points, scores);
}

}  // namespace fastcv::cuda
