// The lattice's kernels. All of them gather: a vertex from its pixels, in a fixed order, a pixel
// from its vertices.
#pragma once

#include <cstdint>

#include "common/launch.cuh"
#include "dense_crf/dense_crf_kernel.h"
#include "dense_crf/lattice_point.h"

namespace fastcv::cuda {

template <int d, typename Acc>
__global__ void __launch_bounds__(256)
    lattice_points_kernel(PixelFeatures<d, Acc> features, int64_t* __restrict__ keys,
                          Acc* __restrict__ weights) {
  const int64_t p = int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (p >= features.height * features.width) return;
  Acc feature[d], weight[d + 1];
  uint64_t key[d + 1];
  features.read(p, feature);
  lattice_point<d, Acc>(feature, key, weight);
#pragma unroll
  for (int k = 0; k <= d; ++k) {
    keys[p * (d + 1) + k] = static_cast<int64_t>(key[k]);
    weights[p * (d + 1) + k] = weight[k];
  }
}

// Where `key` stands among ascending ones; `count` where it is not there.
__device__ __forceinline__ int32_t find_key(const int64_t* keys, int64_t count, uint64_t wanted) {
  const int64_t key = static_cast<int64_t>(wanted);
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (keys[middle] < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return static_cast<int32_t>(low < count && keys[low] == key ? low : count);
}

template <int d>
__global__ void __launch_bounds__(256)
    lattice_neighbours_kernel(const int64_t* __restrict__ keys, int64_t vertices,
                              int32_t* __restrict__ neighbour) {
  const int64_t v = int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (v >= vertices) return;
  const uint64_t key = static_cast<uint64_t>(keys[v]);
  for (int axis = 0; axis <= d; ++axis) {
    int32_t* out = neighbour + (axis * vertices + v) * 2;
    out[0] = find_key(keys, vertices, LatticeKey<d>::next(key, axis));
    out[1] = find_key(keys, vertices, LatticeKey<d>::previous(key, axis));
  }
}

// A block for a vertex and 32 labels: its warps share the entries, its lanes have a label each.
template <typename Acc>
__global__ void __launch_bounds__(256)
    lattice_splat_kernel(const int64_t* __restrict__ begin, const int32_t* __restrict__ order,
                         const Acc* __restrict__ weight, int corners,
                         const Acc* __restrict__ labels, int64_t channels,
                         Acc* __restrict__ values) {
  FASTCV_SHARED(Acc, parts, [8][32]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t v = blockIdx.x, c = int64_t{blockIdx.y} * 32 + lane;
  Acc sum = 0;
  if (c < channels) {
    const int64_t end = begin[v + 1];
#pragma unroll 4
    for (int64_t e = begin[v] + warp; e < end; e += 8) {
      const int32_t at = order[e];
      sum = fma(weight[at], labels[int64_t{at / corners} * channels + c], sum);
    }
  }
  parts[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || c >= channels) return;
  for (int w = 1; w < 8; ++w) sum += parts[w][lane];
  values[v * channels + c] = sum;
}

template <typename Acc>
__global__ void __launch_bounds__(256)
    lattice_blur_kernel(const int32_t* __restrict__ neighbour, const Acc* __restrict__ from,
                        int64_t vertices, int64_t channels, Acc* __restrict__ to) {
  const int64_t i = int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (i >= vertices * channels) return;
  const int64_t v = i / channels, c = i % channels;
  const Acc both =
      from[neighbour[2 * v] * channels + c] + from[neighbour[2 * v + 1] * channels + c];
  to[i] = fma(Acc(0.5), both, from[i]);
}

template <typename Acc>
__global__ void __launch_bounds__(256)
    lattice_slice_kernel(const int32_t* __restrict__ vertex, const Acc* __restrict__ weight,
                         int corners, const Acc* __restrict__ values, int64_t pixels,
                         int64_t channels, Acc factor, Acc* __restrict__ labels) {
  const int64_t i = int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (i >= pixels * channels) return;
  const int64_t p = i / channels, c = i % channels;
  Acc sum = 0;
  for (int k = 0; k < corners; ++k) {
    sum = fma(weight[p * corners + k], values[vertex[p * corners + k] * channels + c], sum);
  }
  labels[i] = fma(factor, sum, labels[i]);
}

inline dim3 blocks_of_256(int64_t count) {
  return dim3(static_cast<unsigned>((count + 255) / 256));
}

template <typename Acc>
void launch_lattice_points(int dimensions, const Acc* image, int64_t height, int64_t width,
                           double sxy, double srgb, int64_t* key, Acc* weight,
                           cudaStream_t stream) {
  with_dimensions(dimensions, [&](auto d) {
    const PixelFeatures<d, Acc> features(image, height, width, sxy, srgb);
    launch(lattice_points_kernel<d, Acc>, blocks_of_256(height * width), dim3(256), 0, stream,
           features, key, weight);
  });
}

void launch_lattice_neighbours(int dimensions, const int64_t* key, int64_t vertices,
                               int32_t* neighbour, cudaStream_t stream) {
  with_dimensions(dimensions, [&](auto d) {
    launch(lattice_neighbours_kernel<d>, blocks_of_256(vertices), dim3(256), 0, stream, key,
           vertices, neighbour);
  });
}

template <typename Acc>
void launch_lattice_splat(const int64_t* begin, const int32_t* order, const Acc* weight,
                          int corners, const Acc* labels, int64_t vertices, int64_t channels,
                          Acc* values, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(vertices), static_cast<unsigned>((channels + 31) / 32));
  launch(lattice_splat_kernel<Acc>, grid, dim3(256), 0, stream, begin, order, weight, corners,
         labels, channels, values);
}

template <typename Acc>
void launch_lattice_blur(const int32_t* neighbour, const Acc* from, int64_t vertices,
                         int64_t channels, Acc* to, cudaStream_t stream) {
  launch(lattice_blur_kernel<Acc>, blocks_of_256(vertices * channels), dim3(256), 0, stream,
         neighbour, from, vertices, channels, to);
}

template <typename Acc>
void launch_lattice_slice(const int32_t* vertex, const Acc* weight, int corners, const Acc* values,
                          int64_t pixels, int64_t channels, double factor, Acc* labels,
                          cudaStream_t stream) {
  launch(lattice_slice_kernel<Acc>, blocks_of_256(pixels * channels), dim3(256), 0, stream, vertex,
         weight, corners, values, pixels, channels, static_cast<Acc>(factor), labels);
}

}  // namespace fastcv::cuda
