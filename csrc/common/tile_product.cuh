// A matrix product whose left side is made on the way into shared memory and whose results go
// wherever they belong: left [rows, depth] times weight [columns, depth], transposed.
#pragma once

#include <cstdint>

#include "common/launch.cuh"
#include "common/roi_bins.cuh"
#include "common/warp_multiply.cuh"

namespace fastcv::cuda {

struct ProductSizes {
  int64_t rows;
  int columns, depth, groups;
};

// Whether elements from p on can be read 16 bytes at a time, in runs of `length`.
template <typename T>
bool reads_packed(const T* p, int64_t length) {
  return length % (16 / sizeof(T)) == 0 && reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

namespace product {
inline constexpr int rows = warp_rows;  // of a block; each of its warps has other columns
inline constexpr int depth = 32;        // that lies in shared memory at once
inline constexpr int step = depth + 8;  // from row to row, so that eight rows share no bank
}  // namespace product

// The items of a tile of `product::rows` x `product::depth`, `pack` neighbours in depth each,
// spread over the block: f(row, first k). Neighbouring threads have neighbouring k, or neighbouring
// rows.
template <int pack, bool along_depth, typename F>
__device__ __forceinline__ void for_each_item(F f) {
  constexpr int across = product::depth / pack;
  for (int i = threadIdx.x; i < product::rows * across; i += blockDim.x) {
    if (along_depth) {
      f(i / across, i % across * pack);
    } else {
      f(i % product::rows, i / product::rows * pack);
    }
  }
}

// fill(tile, first row, first k, group) writes [product::rows][product::step], 0 beyond the sizes.
// A result goes to out(row) + out(column, group) in out.output, out.bias(column, group) added.
template <typename T, int warps, typename Fill, typename Out>
__global__ void __launch_bounds__(32 * warps)
    tile_product_kernel(Fill fill, const T* weight, bool packed, ProductSizes sizes, Out out) {
  constexpr int columns = warps * warp_columns, pack = 16 / sizeof(T);
  FASTCV_DYN_SHARED(T, left);
  T* const right = left + product::rows * product::step;
  const int64_t first_row = int64_t{blockIdx.x} * product::rows;
  const int first_column = blockIdx.y * columns, group = blockIdx.z;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  weight += int64_t{group} * sizes.columns * sizes.depth;
  WarpSums<T> sums = {};
  for (int k = 0; k < sizes.depth; k += product::depth) {
    __syncthreads();  // the tiles before have been used
    fill(left, first_row, k, group);
    const int step = packed ? pack : 1;
    for (int i = threadIdx.x * step; i < columns * product::depth; i += blockDim.x * step) {
      const int column = first_column + i / product::depth, at = k + i % product::depth;
      T* to = right + i / product::depth * product::step + i % product::depth;
      const bool inside = column < sizes.columns && at < sizes.depth;
      const T* from = weight + int64_t{column} * sizes.depth + at;
      if (packed) {
        Pack<T, pack> item;
        for (T& x : item.item) x = narrow<T>(0);
        if (inside) item = *reinterpret_cast<const Pack<T, pack>*>(from);
        *reinterpret_cast<Pack<T, pack>*>(to) = item;
      } else {
        *to = inside ? *from : narrow<T>(0);
      }
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < product::depth; j += warp_depth) {
      warp_multiply(left + j, right + warp * warp_columns * product::step + j, product::step, sums);
    }
  }
  int64_t place[warp_columns / 4];
  acc_t<T> bias[warp_columns / 4];
#pragma unroll
  for (int j = 0; j < warp_columns / 4; ++j) {
    const int column = first_column + warp * warp_columns + j / 2 * 8 + lane % 4 * 2 + j % 2;
    place[j] = column < sizes.columns ? out(column, group) : -1;
    bias[j] = column < sizes.columns ? out.bias(column, group) : acc_t<T>(0);
  }
#pragma unroll
  for (int i = 0; i < warp_rows / 8; ++i) {
    const int64_t row = first_row + 8 * i + lane / 4;
    if (row >= sizes.rows) continue;
    T* of_row = out.output.data + out(row);
#pragma unroll
    for (int j = 0; j < warp_columns / 4; ++j) {
      if (place[j] < 0) continue;
      of_row[place[j]] = narrow<T>(sums[i / 2][j / 2][i % 2 * 2 + j % 2] + bias[j]);
    }
  }
}

// Blocks of 256 columns where the accumulators are small and there are that many; else of 128.
template <typename T, typename Fill, typename Out>
void launch_tile_product(const Fill& fill, const T* weight, const ProductSizes& sizes,
                         const Out& out, cudaStream_t stream) {
  const auto run = [&](auto kernel, int warps) {
    const int columns = warps * warp_columns;
    const dim3 grid(static_cast<unsigned>((sizes.rows + product::rows - 1) / product::rows),
                    static_cast<unsigned>((sizes.columns + columns - 1) / columns),
                    static_cast<unsigned>(sizes.groups));
    launch(kernel, grid, dim3(32 * warps), (product::rows + columns) * product::step * sizeof(T),
           stream, fill, weight, reads_packed(weight, sizes.depth), sizes, out);
  };
  if constexpr (sizeof(T) <= 2) {
    if (sizes.columns > 128) return run(tile_product_kernel<T, 8, Fill, Out>, 8);
  }
  run(tile_product_kernel<T, 4, Fill, Out>, 4);
}

}  // namespace fastcv::cuda
