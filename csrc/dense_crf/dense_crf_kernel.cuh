// The lattice's kernels. All of them gather: a vertex from its pixels, in a fixed order, a pixel
// from its vertices.
#pragma once

#include <cstdint>

#include "common/cuda/launch.cuh"
#include "common/cuda/pack.cuh"
#include "common/host/ceil_div.h"
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
__device__ __forceinline__ int32_t find_key(const int64_t* keys, int64_t count, uint64_t searched) {
  const int64_t key = static_cast<int64_t>(searched);
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

// The entries in chunks of `splat_chunk`, whatever vertices those are of: a vertex of a plain area
// has thousands, most have a few. A warp for a chunk and 32 labels, a lane for each label. What the
// chunk has of its vertices goes to `values`, but for the first one, where that began in an earlier
// chunk, to the chunk's row of `parts`.
template <typename Acc>
__global__ void __launch_bounds__(256)
    lattice_splat_kernel(const int32_t* __restrict__ order, const int32_t* __restrict__ owner,
                         const Acc* __restrict__ weight, int corners, int64_t entries,
                         const Acc* __restrict__ labels, int channels, Acc* __restrict__ values,
                         Acc* __restrict__ parts) {
  constexpr int batch = 8;  // rows of labels that are on their way at once
  constexpr unsigned all = 0xffffffffu;
  const int lane = threadIdx.x, c = blockIdx.y * 32 + lane;
  const int64_t chunk = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const int64_t begin = chunk * splat_chunk;
  if (begin >= entries) return;
  const int64_t end = begin + splat_chunk < entries ? begin + splat_chunk : entries;

  const Acc* column = labels + (c < channels ? c : channels - 1);
  bool began_here = begin == 0 || owner[begin - 1] != owner[begin];
  Acc sum = 0;
  for (int64_t first = begin; first < end; first += 32) {
    // A lane reads an entry, and hands it to all.
    const int64_t e = first + lane;
    int32_t at = 0;
    Acc own_weight = 0;
    bool last = false;  // of its vertex here
    if (e < end) {
      at = order[e];
      own_weight = weight[at];
      last = e + 1 == end || owner[e + 1] != owner[e];
    }
    const int32_t pixel = at / corners;
    const unsigned lasts = __ballot_sync(all, last);
    for (int j = 0; j < 32; j += batch) {
      Acc row[batch], share[batch];
      const unsigned ends = lasts >> j;
#pragma unroll
      for (int i = 0; i < batch; ++i) {
        row[i] = column[int64_t{__shfl_sync(all, pixel, j + i)} * channels];
        share[i] = __shfl_sync(all, own_weight, j + i);
      }
#pragma unroll
      for (int i = 0; i < batch; ++i) {
        sum = fma(share[i], row[i], sum);
        if ((ends >> i & 1) == 0) continue;
        const int64_t v = owner[first + j + i];
        Acc* out = began_here ? values + v * channels : parts + chunk * channels;
        if (c < channels) out[c] = sum;
        began_here = true;
        sum = 0;
      }
    }
  }
}

// The kernels below have a row of labels for each threadIdx.y, see launch_rows().

// Adds what later chunks have of a vertex.
template <typename Acc>
__global__ void __launch_bounds__(256)
    lattice_join_kernel(const int64_t* __restrict__ begin, const Acc* __restrict__ parts,
                        int64_t vertices, int channels, Acc* __restrict__ values) {
  const int64_t v = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (v >= vertices) return;
  const int64_t first = begin[v] / splat_chunk, last = (begin[v + 1] - 1) / splat_chunk;
  if (first == last) return;
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    Acc sum = values[v * channels + c];
#pragma unroll 8
    for (int64_t chunk = first + 1; chunk <= last; ++chunk) sum += parts[chunk * channels + c];
    values[v * channels + c] = sum;
  }
}

template <typename Acc>
__global__ void __launch_bounds__(256)
    lattice_blur_kernel(const int32_t* __restrict__ neighbour, const Acc* __restrict__ from,
                        int64_t vertices, int channels, Acc* __restrict__ to) {
  const int64_t v = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (v >= vertices) return;
  const auto near = load_pack<2>(neighbour + 2 * v);
  const int64_t next = near.item[0], previous = near.item[1];
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    const Acc both = (next < vertices ? from[next * channels + c] : Acc(0)) +
                     (previous < vertices ? from[previous * channels + c] : Acc(0));
    to[v * channels + c] = fma(Acc(0.5), both, from[v * channels + c]);
  }
}

// `base` may be `out`.
template <int corners, typename Acc>
__global__ void __launch_bounds__(256)
    lattice_slice_kernel(const int32_t* __restrict__ vertex, const Acc* __restrict__ weight,
                         const Acc* __restrict__ values, int64_t pixels, int channels, Acc factor,
                         const Acc* base, Acc* out) {
  constexpr int size = corners % 2 == 0 ? 2 : 1;
  const int64_t p = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (p >= pixels) return;
  const Acc* row[corners];
  Acc share[corners];
#pragma unroll
  for (int k = 0; k < corners; k += size) {
    const auto vertices = load_pack<size>(vertex + p * corners + k);
    const auto weights = load_pack<size>(weight + p * corners + k);
#pragma unroll
    for (int i = 0; i < size; ++i) {
      row[k + i] = values + int64_t{vertices.item[i]} * channels;
      share[k + i] = weights.item[i];
    }
  }
  for (int c = threadIdx.x; c < channels; c += blockDim.x) {
    Acc sum = 0;
#pragma unroll
    for (int k = 0; k < corners; ++k) sum = fma(share[k], row[k][c], sum);
    out[p * channels + c] = fma(factor, sum, base[p * channels + c]);
  }
}

inline dim3 blocks_of_256(int64_t count) {
  return dim3(static_cast<unsigned>(ceil_div(count, 256)));
}

// Threads beside each other have labels beside each other: as many as a row has, made a power of
// two, at most a warp; 256 threads in a block.
template <typename... Params, typename... Args>
void launch_rows(void (*kernel)(Params...), int64_t rows, int64_t channels, cudaStream_t stream,
                 Args... args) {
  unsigned width = 1;
  while (width < 32 && width < channels) width *= 2;
  const unsigned height = 256 / width;
  launch(kernel, dim3(static_cast<unsigned>(ceil_div(rows, height))), dim3(width, height), 0,
         stream, args...);
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
void launch_lattice_splat(const LatticeEntries& entries, const Acc* weight, const Acc* labels,
                          int64_t channels, Acc* parts, Acc* values, cudaStream_t stream) {
  const auto chunks = static_cast<unsigned>(ceil_div(entries.count, splat_chunk));
  const dim3 grid(ceil_div(chunks, 8), static_cast<unsigned>(ceil_div(channels, 32)));
  launch(lattice_splat_kernel<Acc>, grid, dim3(32, 8), 0, stream, entries.order, entries.owner,
         weight, entries.corners, entries.count, labels, channels, values, parts);
  launch_rows(lattice_join_kernel<Acc>, entries.vertices, channels, stream, entries.begin, parts,
              entries.vertices, channels, values);
}

template <typename Acc>
void launch_lattice_blur(const int32_t* neighbour, const Acc* from, int64_t vertices,
                         int64_t channels, Acc* to, cudaStream_t stream) {
  launch_rows(lattice_blur_kernel<Acc>, vertices, channels, stream, neighbour, from, vertices,
              channels, to);
}

template <typename Acc>
void launch_lattice_slice(const int32_t* vertex, const Acc* weight, int corners, const Acc* values,
                          int64_t pixels, int64_t channels, double factor, const Acc* base,
                          Acc* out, cudaStream_t stream) {
  with_dimensions(corners - 1, [&](auto d) {
    launch_rows(lattice_slice_kernel<d + 1, Acc>, pixels, channels, stream, vertex, weight, values,
                pixels, channels, factor, base, out);
  });
}

}  // namespace fastcv::cuda
