// gemm_plain.cuh's product for half precision, on tensor cores. A block keeps its columns and
// goes through tiles of rows. Both operands are read 64 deep, the next 64 on their way while these
// are multiplied; where shared memory holds the weight of the block's columns whole, it is read
// once.
#pragma once

#include <cstdint>

#include "common/cuda/async_copy.cuh"
#include "common/cuda/gemm_plain.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/mma.cuh"
#include "common/cuda/pack.cuh"
#include "common/host/ceil_div.h"

namespace fastcv::cuda {

// Where 16 bytes of results lie side by side. `columns`: 8 neighbouring columns of a row; `rows`:
// column pairs (from an even one on) of 4 neighbouring rows. Out::runs says which; out.packed,
// whether they can be written at once.
enum class Runs { columns, rows };

namespace gemm_mma {

inline constexpr int rows = GemmTile<__half, true>::rows;
inline constexpr int depth = GemmTile<__half, true>::depth;

// words[j] of lane i goes to words[i] of lane j, of the 4 lanes that differ in `bit` and 2 * bit.
template <int bit>
__device__ __forceinline__ void transpose_words(uint32_t (&words)[4]) {
  const int lane = threadIdx.x % 32;
  const auto exchange = [&](uint32_t& low, uint32_t& high, int with) {
    const bool upper = (lane & with) != 0;
    const uint32_t got = __shfl_xor_sync(0xffffffffu, upper ? low : high, with);
    (upper ? low : high) = got;
  };
  exchange(words[0], words[1], bit);
  exchange(words[2], words[3], bit);
  exchange(words[0], words[2], 2 * bit);
  exchange(words[1], words[3], 2 * bit);
}

// The warp's rows of the tile times its columns, `deep` deep where the product ends before the
// tile.
template <typename T, bool along_depth>
__device__ __forceinline__ void multiply(const T* tile, int first_row, const T* right, int deep,
                                         WarpSums<T>& sums) {
  const unsigned matrix = threadIdx.x % 32 / 8, line = threadIdx.x % 8;
#pragma unroll
  for (int k = 0; k < depth; k += 16) {
    if (k >= deep) break;
    uint32_t b[warp_columns / 8][2];
#pragma unroll
    for (int n = 0; n < warp_columns / 16; ++n) {
      uint32_t words[4];
      load_matrices(words, right + swizzled_offset<depth>(16 * n + matrix / 2 * 8 + line,
                                                          k + matrix % 2 * 8));
      b[2 * n][0] = words[0], b[2 * n][1] = words[1];
      b[2 * n + 1][0] = words[2], b[2 * n + 1][1] = words[3];
    }
#pragma unroll
    for (int m = 0; m < warp_rows / 16; ++m) {
      const unsigned row = first_row + 16 * m + matrix % 2 * 8, at = k + matrix / 2 * 8;
      uint32_t a[4];
      if constexpr (along_depth) {
        load_matrices(a, tile + swizzled_offset<depth>(row + line, at));
      } else {
        load_matrices_transposed(a, tile + swizzled_offset<rows>(at + line, row));
      }
#pragma unroll
      for (int n = 0; n < warp_columns / 8; ++n) mma_16x8<T>(sums[m][n], a, b[n]);
    }
  }
}

// What the block knows of its columns.
template <int columns>
struct Columns {
  int64_t places[columns];  // -1 beyond the last
  float biases[columns];
};

// `rows` are the places of the warp's, -1 beyond the last; `first_column` its own in the block.
template <typename T, typename Out, int columns>
__device__ __forceinline__ void store(const WarpSums<T>& sums, const int64_t* rows,
                                      const Columns<columns>& of, int first_column,
                                      const Out& out) {
  const int lane = threadIdx.x % 32, eighth = lane / 4, pair = lane % 4;
  const auto sum = [&](int i, int n, int j) {  // of row 8 i + eighth
    return sums[i / 2][n][i % 2 * 2 + j] + of.biases[first_column + 8 * n + 2 * pair + j];
  };
  const auto word = [&](int i, int n) {
    const Pack<T, 2> both{narrow<T>(sum(i, n, 0)), narrow<T>(sum(i, n, 1))};
    uint32_t bits;
    memcpy(&bits, &both, sizeof(bits));
    return bits;
  };
  const auto write = [&](int row, int column, const uint32_t (&words)[4]) {
    if (rows[row] < 0 || of.places[column] < 0) return;
    *reinterpret_cast<uint4*>(out.output.data + rows[row] + of.places[column]) =
        make_uint4(words[0], words[1], words[2], words[3]);
  };
  if (!out.packed) {
#pragma unroll
    for (int n = 0; n < warp_columns / 8; ++n) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int64_t column = of.places[first_column + 8 * n + 2 * pair + j];
        if (column < 0) continue;
#pragma unroll
        for (int i = 0; i < warp_rows / 8; ++i) {
          const int64_t row = rows[8 * i + eighth];
          if (row >= 0) out.output.data[row + column] = narrow<T>(sum(i, n, j));
        }
      }
    }
  } else if constexpr (Out::runs == Runs::columns) {
#pragma unroll
    for (int i = 0; i < warp_rows / 8; ++i) {
      uint32_t words[4];
#pragma unroll
      for (int n = 0; n < 4; ++n) words[n] = word(i, n);
      transpose_words<1>(words);
      write(8 * i + eighth, first_column + 8 * pair, words);
    }
  } else {
#pragma unroll
    for (int n = 0; n < warp_columns / 8; ++n) {
#pragma unroll
      for (int first = 0; first < warp_rows / 8; first += 4) {
        uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) words[i] = word(first + i, n);
        transpose_words<4>(words);
        write(8 * (first + eighth % 4) + eighth / 4 * 4, first_column + 8 * n + 2 * pair, words);
      }
    }
  }
}

// Of one depth of 64, as rows of columns.
template <typename T, int columns>
__device__ __forceinline__ void load_weight(T* right, const T* weight, bool packed,
                                            int first_column, int k, const GemmSizes& sizes) {
  const unsigned step = packed ? 8 : 1;
  for (unsigned i = threadIdx.x * step; i < columns * depth; i += blockDim.x * step) {
    const int column = first_column + static_cast<int>(i / depth);
    const int at = k + static_cast<int>(i % depth);
    const bool inside = column < sizes.columns && at < sizes.depth;
    const T* from = inside ? weight + int64_t{column} * sizes.depth + at : weight;
    T* to = right + swizzled_offset<depth>(i / depth, i % depth);
    if (packed) {
      copy_async16(to, from, inside);
    } else {
      *to = inside ? *from : narrow<T>(0);
    }
  }
}

}  // namespace gemm_mma

// 64 rows and 32 columns a warp, and 16 warps on an SM: 128 registers each. `slots`: of the weight,
// as many as there are steps in depth, or 2.
template <typename T, int columns, typename Fill, typename Out>
__global__ void __launch_bounds__(2 * columns, 256 / columns)
    gemm_mma_kernel(Fill fill, const T* weight, bool packed, int slots, GemmSizes sizes, Out out) {
  using namespace gemm_mma;
  using Tile = typename Fill::Tile;
  FASTCV_SHARED(typename Fill::Row, sources, [3][rows]);  // of this tile, the last and the next
  FASTCV_SHARED(int64_t, places, [3][rows]);
  FASTCV_SHARED(Columns<columns>, of_columns, [1]);
  FASTCV_DYN_SHARED(T, left);
  T* const right = left + 2 * rows * depth;
  const int first_column = blockIdx.y * columns, group = blockIdx.z;
  const int warp = threadIdx.x / 32;
  const int row = warp % 2 * warp_rows, column = warp / 2 * warp_columns;
  const int steps = ceil_div(sizes.depth, depth);
  const bool keep = slots >= steps;  // the weight
  weight += int64_t{group} * sizes.columns * sizes.depth;

  const auto describe = [&](int tile) {
    for (int i = threadIdx.x; i < rows; i += blockDim.x) {
      const int64_t at = (blockIdx.x + int64_t{tile} * gridDim.x) * rows + i;
      sources[tile % 3][i] = fill.row(at);
      places[tile % 3][i] = at < sizes.rows ? out(at) : -1;
    }
  };
  const auto load = [&](int tile, int step, int turn) {
    fill(left + turn * (rows * depth), sources[tile % 3], step * depth, group);
    if (!keep || tile == 0) {
      load_weight<T, columns>(right + (keep ? step : turn) * (columns * depth), weight, packed,
                              first_column, step * depth, sizes);
    }
    commit_copies();
  };
  const int64_t all = ceil_div(sizes.rows, rows);
  const int tiles = static_cast<int>(ceil_div(all - blockIdx.x, gridDim.x));
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    const bool inside = first_column + i < sizes.columns;
    of_columns[0].places[i] = inside ? out(first_column + i, group) : -1;
    of_columns[0].biases[i] = inside ? out.bias(first_column + i, group) : 0.0f;
  }
  WarpSums<T> sums = {};
  describe(0);
  for (int tile = 0, turn = 0; tile <= tiles; ++tile) {
    for (int step = 0; step < steps; ++step, turn ^= 1) {
      wait_copies<0>();
      __syncthreads();  // the step before has been read, and the one before that multiplied
      if (tile < tiles) load(tile, step, turn);
      if (step == 0 && tile + 1 < tiles) describe(tile + 1);
      if (step == 0 && tile == 0) continue;
      const int before = (step > 0 ? step : steps) - 1, slot = keep ? before : turn ^ 1;
      multiply<T, Tile::is_along_depth>(left + (turn ^ 1) * (rows * depth), row,
                                        right + (slot * columns + column) * depth,
                                        sizes.depth - before * depth, sums);
      if (step > 0) continue;
      store<T>(sums, places[(tile - 1) % 3] + row, of_columns[0], column, out);
      if (tile == tiles) return;
#pragma unroll
      for (auto& m : sums) {
#pragma unroll
        for (auto& n : m) {
#pragma unroll
          for (float& x : n) x = 0;
        }
      }
    }
  }
}

struct GemmDevice {
  int processors, shared;  // shared memory that a block can have
};

inline GemmDevice gemm_device() {
#if defined(FASTCV_EMULATE_CUDA)
  return {2, 227 * 1024};
#else
  int device = 0;
  GemmDevice found{};
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&found.processors, cudaDevAttrMultiProcessorCount, device);
  cudaDeviceGetAttribute(&found.shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  return found;
#endif
}

// Blocks of 128 columns, two on an SM; of 256 where a left side that is expensive is then made half
// as often.
template <typename T, typename Fill, typename Out>
void launch_gemm_mma(const Fill& fill, const T* weight, const GemmSizes& sizes, const Out& out,
                     cudaStream_t stream) {
  using namespace gemm_mma;
  const GemmDevice device = gemm_device();
  const int steps = ceil_div(sizes.depth, depth);
  const auto bytes = [](int columns, int slots) {
    return (2 * rows + slots * columns) * depth * static_cast<int>(sizeof(T));
  };
  const auto fits = [&](int columns, int slots) {  // beside the static ones
    return bytes(columns, slots) + 12 * 1024 <= device.shared;
  };
  const auto run = [&](auto kernel, int columns) {
    const int64_t tiles = ceil_div(sizes.rows, rows);
    const int64_t across = ceil_div(sizes.columns, columns);
    const int64_t resident = int64_t{device.processors} * 256 / columns;
    const int64_t of_block = ceil_div(tiles * across * sizes.groups, resident);  // tiles
    const int slots = steps <= 4 && fits(columns, steps) ? steps : 2;
    const dim3 grid(static_cast<unsigned>(ceil_div(tiles, of_block)), static_cast<unsigned>(across),
                    static_cast<unsigned>(sizes.groups));
    launch(kernel, grid, dim3(2 * columns), bytes(columns, slots), stream, fill, weight,
           reads_packed(weight, sizes.depth), slots, sizes, out);
  };
  if constexpr (Fill::expensive) {
    if (sizes.columns > 128 && fits(256, 2)) {
      return run(gemm_mma_kernel<T, 256, Fill, Out>, 256);
    }
  }
  run(gemm_mma_kernel<T, 128, Fill, Out>, 128);
}

// On tensor cores for half precision; else plainly.
template <typename T, typename Fill, typename Out>
void launch_gemm(const Fill& fill, const T* weight, const GemmSizes& sizes, const Out& out,
                 cudaStream_t stream) {
  if constexpr (sizeof(T) == 2) {
    launch_gemm_mma(fill, weight, sizes, out, stream);
  } else {
    launch_gemm_plain(fill, weight, sizes, out, stream);
  }
}

}  // namespace fastcv::cuda
