// Forward: a thread makes 16 neighbouring bytes of the output, and stores them at once. Backward: a
// warp has a heatmap.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/exponential.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/pack.cuh"
#include "common/cuda/warp_sum.cuh"
#include "common/host/ceil_div.h"
#include "encode_heatmaps/encode_heatmaps_kernel.h"

namespace fastcv::cuda {

// Of NaN and infinity the difference is NaN.
template <typename Acc>
__device__ __forceinline__ bool is_finite(Acc x) {
  return x - x == 0;
}

// A bump's value at (dx, dy) from the point.
template <typename T>
__device__ __forceinline__ acc_t<T> bump_at(acc_t<T> dx, acc_t<T> dy, const Bump<T>& bump) {
  const acc_t<T> squared = (dx * dx + dy * dy) * bump.per_square;
  return bump.cauchy ? bump.peak / (1 + squared) : exponential(-squared);
}

template <typename T>
__global__ void __launch_bounds__(256)
    encode_heatmaps_kernel(const T* __restrict__ points, int64_t count, int32_t height,
                           int32_t width, Bump<T> bump, T* __restrict__ heatmaps) {
  using Acc = acc_t<T>;
  constexpr int size = 16 / sizeof(T);
  const int64_t cells = count * height * width;
  const int64_t begin = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * size;
  if (begin >= cells) return;
  int32_t column = static_cast<int32_t>(begin % width);
  int64_t line = begin / width;
  const int n = static_cast<int>(cells - begin < size ? cells - begin : size);
  Acc values[size];
#pragma unroll
  for (int k = 0; k < size; ++k) {
    values[k] = 0;
    if (k < n) {
      const T* point = points + line / height * 2;
      const Acc x = widen(point[0]), y = widen(point[1]);
      if (is_finite(x) && is_finite(y)) {
        values[k] = bump_at<T>(column - x, static_cast<Acc>(line % height) - y, bump);
      }
    }
    if (++column == width) column = 0, ++line;
  }
  if (n == size) {
    store_pack<size>(heatmaps + begin, values);
  } else {
#pragma unroll
    for (int k = 0; k < size; ++k) {
      if (k < n) heatmaps[begin + k] = narrow<T>(values[k]);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(256)
    encode_heatmaps_backward_kernel(const T* __restrict__ grad, const T* __restrict__ points,
                                    int64_t count, int32_t height, int32_t width, Bump<T> bump,
                                    T* __restrict__ by_points) {
  using Acc = acc_t<T>;
  const int64_t map = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  if (map >= count) return;
  const int lane = threadIdx.x % 32;
  const Acc x = widen(points[2 * map]), y = widen(points[2 * map + 1]);
  const bool there = is_finite(x) && is_finite(y);
  const int32_t cells = height * width;
  const T* own = grad + map * cells;
  Acc by_x = 0, by_y = 0;
  for (int32_t i = lane; there && i < cells; i += 32) {
    const Acc dx = i % width - x, dy = i / width - y;
    const Acc value = bump_at<T>(dx, dy, bump);
    const Acc part = widen(own[i]) * (bump.cauchy ? value * value / bump.peak : value);
    by_x += part * dx, by_y += part * dy;
  }
  by_x = warp_sum(by_x), by_y = warp_sum(by_y);
  if (lane == 0) {
    by_points[2 * map] = narrow<T>(2 * bump.per_square * by_x);
    by_points[2 * map + 1] = narrow<T>(2 * bump.per_square * by_y);
  }
}

template <typename T>
void launch_encode_heatmaps(const T* points, int64_t count, int32_t height, int32_t width,
                            Bump<T> bump, T* heatmaps, cudaStream_t stream) {
  constexpr int threads = 256;
  const int64_t blocks = ceil_div(count * height * width, threads * (16 / sizeof(T)));
  launch(encode_heatmaps_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(threads), 0, stream,
         points, count, height, width, bump, heatmaps);
}

template <typename T>
void launch_encode_heatmaps_backward(const T* grad, const T* points, int64_t count, int32_t height,
                                     int32_t width, Bump<T> bump, T* by_points,
                                     cudaStream_t stream) {
  constexpr int threads = 256;
  launch(encode_heatmaps_backward_kernel<T>,
         dim3(static_cast<unsigned>(ceil_div(count * 32, threads))), dim3(threads), 0, stream, grad,
         points, count, height, width, bump, by_points);
}

}  // namespace fastcv::cuda
