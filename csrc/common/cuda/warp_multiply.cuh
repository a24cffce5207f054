// One warp's share of a matrix product, from shared memory, by plain arithmetic.
#pragma once

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// Rows and columns of a warp, and how deep it goes at once.
inline constexpr int warp_rows = 64, warp_columns = 32, warp_depth = 16;

// A lane's sums, as the tensor cores spread them: [m][n][2 * i + j] belongs to row 16 m + 8 i +
// lane / 4 and column 8 n + 2 (lane % 4) + j.
template <typename T>
using WarpSums = acc_t<T>[warp_rows / 16][warp_columns / 8][4];

// sums[row][column] += sum over k of a[row][k] * b[column][k]; rows of both lie `step` apart.
template <typename T>
__device__ __forceinline__ void warp_multiply(const T* a, const T* b, int step, WarpSums<T>& sums) {
  const int row = threadIdx.x % 32 / 4, column = threadIdx.x % 4 * 2;
#pragma unroll 2
  for (int k = 0; k < warp_depth; ++k) {
    acc_t<T> left[warp_rows / 8], right[warp_columns / 4];
#pragma unroll
    for (int i = 0; i < warp_rows / 8; ++i) left[i] = widen(a[(8 * i + row) * step + k]);
#pragma unroll
    for (int j = 0; j < warp_columns / 4; ++j) {
      right[j] = widen(b[(j / 2 * 8 + column + j % 2) * step + k]);
    }
#pragma unroll
    for (int i = 0; i < warp_rows / 8; ++i) {
#pragma unroll
      for (int j = 0; j < warp_columns / 4; ++j) {
        acc_t<T>& sum = sums[i / 2][j / 2][i % 2 * 2 + j % 2];
        sum = multiply_add(left[i], right[j], sum);
      }
    }
  }
}

}  // namespace fastcv::cuda
