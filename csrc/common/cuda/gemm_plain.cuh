// A matrix product whose left side is made on the way into shared memory and whose results go
// wherever they belong: left [rows, depth] times weight [columns, depth], transposed. Half
// precision has a kernel of its own, gemm_mma.cuh; here is the plain one, for float and double.
//
// The left side is a functor:
//   Fill::Row, fill.row(i)        what it has to know of row i, which may lie beyond the last one
//   fill(tile, rows, k, group)    writes a tile, Tile::rows x Tile::depth from k on, given the Rows
//                                 of its rows: each element to Tile::offset(row, depth), 0 beyond
//                                 the sizes. Copies may be under way when it returns
//   Fill::Tile                    GemmTile<T, along_depth>
// A result goes to out(row) + out(column, group) in out.output, out.bias(column, group) added.
#pragma once

#include <cstdint>

#include "common/cuda/async_copy.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/warp_multiply.cuh"
#include "common/host/ceil_div.h"

namespace fastcv::cuda {

struct GemmSizes {
  int64_t rows;
  int columns, depth, groups;
};

// Whether elements from p on can be read 16 bytes at a time, in runs of `length`.
template <typename T>
bool reads_packed(const T* p, int64_t length) {
  return length % (16 / sizeof(T)) == 0 && reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

// What of the left side lies in shared memory at once, and where. `along_depth`: neighbours in
// depth are neighbours there, as they are in memory; else neighbouring rows are.
template <typename T, bool along_depth>
struct GemmTile {
  static constexpr bool is_along_depth = along_depth;
  static constexpr int rows = 64, depth = 32;
  static constexpr int step = depth + 8;  // so that eight rows share no bank
  static __device__ unsigned offset(unsigned row, unsigned k) { return row * step + k; }
};

// As ldmatrix reads it: 8 lines at the same 16 bytes. These lie in other banks line by line, for a
// line's 16-byte chunks are permuted by the line's number.
template <int line_elements>
__device__ __forceinline__ unsigned swizzled_offset(unsigned line, unsigned at) {
  return line * line_elements + ((at / 8 ^ line % 8) * 8 + at % 8);
}

template <typename T, bool along_depth>
  requires(sizeof(T) == 2)
struct GemmTile<T, along_depth> {
  static constexpr bool is_along_depth = along_depth;
  static constexpr int rows = 128, depth = 64;
  static __device__ unsigned offset(unsigned row, unsigned k) {
    return along_depth ? swizzled_offset<depth>(row, k) : swizzled_offset<rows>(k, row);
  }
};

// Calls f(row, k), both unsigned, for every `pack` neighbours of a tile, spread over the block so
// that neighbouring threads have neighbours.
template <typename T, int pack, bool along_depth, typename F>
__device__ __forceinline__ void for_each_item(F f) {
  using Tile = GemmTile<T, along_depth>;
  constexpr unsigned line = (along_depth ? Tile::depth : Tile::rows) / pack;
  for (unsigned i = threadIdx.x; i < Tile::rows * Tile::depth / pack; i += blockDim.x) {
    if (along_depth) {
      f(i / line, i % line * pack);
    } else {
      f(i % line * pack, i / line);
    }
  }
}

template <typename T, typename Fill, typename Out>
__global__ void __launch_bounds__(128)
    gemm_plain_kernel(Fill fill, const T* weight, bool packed, GemmSizes sizes, Out out) {
  using Tile = typename Fill::Tile;
  constexpr int columns = 4 * warp_columns, pack = 16 / sizeof(T);
  FASTCV_SHARED(typename Fill::Row, rows, [Tile::rows]);
  FASTCV_DYN_SHARED(T, left);
  T* const right = left + Tile::rows * Tile::step;
  const int64_t first_row = int64_t{blockIdx.x} * Tile::rows;
  const int first_column = blockIdx.y * columns, group = blockIdx.z;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  weight += int64_t{group} * sizes.columns * sizes.depth;
  for (int i = threadIdx.x; i < Tile::rows; i += blockDim.x) rows[i] = fill.row(first_row + i);
  WarpSums<T> sums = {};
  for (int k = 0; k < sizes.depth; k += Tile::depth) {
    __syncthreads();  // the tiles before have been used
    fill(left, rows, k, group);
    const int step = packed ? pack : 1;
    for (int i = threadIdx.x * step; i < columns * Tile::depth; i += blockDim.x * step) {
      const int column = first_column + i / Tile::depth, at = k + i % Tile::depth;
      T* to = right + i / Tile::depth * Tile::step + i % Tile::depth;
      const bool inside = column < sizes.columns && at < sizes.depth;
      const T* from = weight + int64_t{column} * sizes.depth + at;
      if (packed) {
        copy_async16(to, inside ? from : weight, inside);
      } else {
        *to = inside ? *from : narrow<T>(0);
      }
    }
    commit_copies();
    wait_copies<0>();
    __syncthreads();
#pragma unroll
    for (int j = 0; j < Tile::depth; j += warp_depth) {
      warp_multiply(left + j, right + warp * warp_columns * Tile::step + j, Tile::step, sums);
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

template <typename T, typename Fill, typename Out>
void launch_gemm_plain(const Fill& fill, const T* weight, const GemmSizes& sizes, const Out& out,
                       cudaStream_t stream) {
  using Tile = typename Fill::Tile;
  constexpr int columns = 4 * warp_columns;
  const dim3 grid(static_cast<unsigned>(ceil_div(sizes.rows, Tile::rows)),
                  static_cast<unsigned>(ceil_div(sizes.columns, columns)),
                  static_cast<unsigned>(sizes.groups));
  launch(gemm_plain_kernel<T, Fill, Out>, grid, dim3(128),
         (Tile::rows + columns) * Tile::step * sizeof(T), stream, fill, weight,
         reads_packed(weight, sizes.depth), sizes, out);
}

}  // namespace fastcv::cuda
