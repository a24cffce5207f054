// A block has 64 vectors and goes through all codes, 64 at a time; a thread has 4 x 4 scores in
// registers and keeps the best of its columns for each of its rows.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "vq_codes/vq_codes_kernel.h"

namespace fastcv::cuda {
namespace vq {

constexpr int side = 16, each = 4, tile = side * each, depth = 16, threads = side * side;
constexpr int sum_threads = 128;

// The higher score, of equal ones the smaller code; NaN and minus infinity never are.
template <typename Acc>
__device__ __forceinline__ void take_better(Acc score, int64_t code, Acc& best, int64_t& best_at) {
  if (score > best || (best_at >= 0 && score == best && code < best_at)) {
    best = score;
    best_at = code;
  }
}

// Numbers [i, i + depth) of rows [first, first + tile), transposed; zeros beyond.
template <typename T>
__device__ __forceinline__ void load_tile(StridedRows<T> rows, int64_t first, int64_t count,
                                          int64_t i, int64_t d, acc_t<T> (*to)[tile + 1]) {
  for (int at = threadIdx.x; at < tile * depth; at += threads) {
    const int64_t r = first + at / depth, column = i + at % depth;
    const bool inside = r < count && column < d;
    to[at % depth][at / depth] =
        inside ? widen(rows.data[r * rows.row + column * rows.step]) : acc_t<T>(0);
  }
}

template <typename T>
__global__ void __launch_bounds__(threads)
    nearest_kernel(StridedRows<T> vectors, int64_t count, StridedRows<T> codebook, int64_t size,
                   int64_t d, int64_t* codes) {
  using Acc = acc_t<T>;
  FASTCV_SHARED(Acc, a, [depth][tile + 1]);
  FASTCV_SHARED(Acc, b, [depth][tile + 1]);
  FASTCV_SHARED(Acc, halves, [tile]);
  FASTCV_SHARED(Acc, scores, [tile][side + 1]);
  FASTCV_SHARED(int64_t, places, [tile][side + 1]);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * tile;
  const int x = threadIdx.x % side, y = threadIdx.x / side;
  Acc best[each];
  int64_t best_at[each];
  for (int r = 0; r < each; ++r) best[r] = -static_cast<Acc>(INFINITY), best_at[r] = -1;
  for (int64_t k = 0; k < size; k += tile) {
    Acc sums[each][each] = {};
    Acc square = 0;
    for (int64_t i = 0; i < d; i += depth) {
      __syncthreads();
      load_tile(vectors, first, count, i, d, a);
      load_tile(codebook, k, size, i, d, b);
      __syncthreads();
      const int deep = d - i < depth ? static_cast<int>(d - i) : depth;
      for (int j = 0; j < deep; ++j) {
        Acc left[each], right[each];
#pragma unroll
        for (int r = 0; r < each; ++r) left[r] = a[j][y + r * side];
#pragma unroll
        for (int c = 0; c < each; ++c) right[c] = b[j][x + c * side];
#pragma unroll
        for (int r = 0; r < each; ++r) {
#pragma unroll
          for (int c = 0; c < each; ++c) {
            sums[r][c] = multiply_add(left[r], right[c], sums[r][c]);
          }
        }
      }
      if (threadIdx.x < tile) {
        for (int j = 0; j < deep; ++j) {
          square = multiply_add(b[j][threadIdx.x], b[j][threadIdx.x], square);
        }
      }
    }
    if (threadIdx.x < tile) halves[threadIdx.x] = square * Acc(0.5);
    __syncthreads();
#pragma unroll
    for (int c = 0; c < each; ++c) {
      const int64_t code = k + x + c * side;
      if (code >= size) continue;
#pragma unroll
      for (int r = 0; r < each; ++r) {
        take_better(sums[r][c] - halves[x + c * side], code, best[r], best_at[r]);
      }
    }
    __syncthreads();
  }
  for (int r = 0; r < each; ++r) {
    scores[y + r * side][x] = best[r];
    places[y + r * side][x] = best_at[r];
  }
  __syncthreads();
  const int64_t n = first + threadIdx.x;
  if (threadIdx.x >= tile || n >= count) return;
  Acc of_all = -static_cast<Acc>(INFINITY);
  int64_t code = -1;
  for (int i = 0; i < side; ++i)
    take_better(scores[threadIdx.x][i], places[threadIdx.x][i], of_all, code);
  codes[n] = of_all < static_cast<Acc>(INFINITY) ? code : -1;
}

// A block has a code and some columns of its sum.
template <typename T>
__global__ void __launch_bounds__(sum_threads)
    sums_kernel(StridedRows<T> vectors, const int64_t* order, const int64_t* starts, int64_t d,
                int64_t* counts, acc_t<T>* sums) {
  const int64_t code = blockIdx.x, begin = starts[code], end = starts[code + 1];
  const int64_t column = static_cast<int64_t>(blockIdx.y) * sum_threads + threadIdx.x;
  if (column == 0) counts[code] = end - begin;
  if (column >= d) return;
  acc_t<T> sum = 0;
#pragma unroll 4
  for (int64_t i = begin; i < end; ++i) {
    sum += widen(vectors.data[order[i] * vectors.row + column * vectors.step]);
  }
  sums[code * d + column] = sum;
}

}  // namespace vq

template <typename T>
void launch_vq_nearest(StridedRows<T> vectors, int64_t count, StridedRows<T> codebook, int64_t size,
                       int64_t d, int64_t* codes, cudaStream_t stream) {
  launch(vq::nearest_kernel<T>, dim3(static_cast<unsigned>(ceil_div(count, int64_t{vq::tile}))),
         dim3(vq::threads), 0, stream, vectors, count, codebook, size, d, codes);
}

template <typename T>
void launch_vq_sums(StridedRows<T> vectors, const int64_t* order, const int64_t* starts,
                    int64_t size, int64_t d, int64_t* counts, acc_t<T>* sums, cudaStream_t stream) {
  const int64_t blocks = d > 0 ? ceil_div(d, int64_t{vq::sum_threads}) : 1;
  launch(vq::sums_kernel<T>, dim3(static_cast<unsigned>(size), static_cast<unsigned>(blocks)),
         dim3(vq::sum_threads), 0, stream, vectors, order, starts, d, counts, sums);
}

}  // namespace fastcv::cuda
