// A block takes a tile of 32 boxes1 by 64 boxes2: their sines and cosines are computed once, and
// every thread walks down a column, so that writes are coalesced.
#pragma once

#include <cstdint>

#include "box_iou_rotated/box_iou_rotated_kernel.h"
#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "common/rotated/rotated.h"

namespace fastcv::cuda {

constexpr int iou_tile_rows = 32;
constexpr int iou_tile_columns = 64;
constexpr int iou_threads = 256;

template <typename T>
__global__ void box_iou_rotated_kernel(const T* __restrict__ boxes1, const T* __restrict__ boxes2,
                                       T* __restrict__ iou_out, int64_t n, int64_t m,
                                       int64_t column_tiles) {
  using Acc = acc_t<T>;
  FASTCV_SHARED(RotatedBox<Acc>, rows, [iou_tile_rows]);
  FASTCV_SHARED(RotatedBox<Acc>, columns, [iou_tile_columns]);
  const int64_t first_row = blockIdx.x / column_tiles * iou_tile_rows;
  const int64_t first_column = blockIdx.x % column_tiles * iou_tile_columns;
  const auto load = [](const T* b) {
    return rotated_box<Acc>(widen(b[0]), widen(b[1]), widen(b[2]), widen(b[3]), widen(b[4]));
  };
  const int tid = threadIdx.x;
  if (tid < iou_tile_rows && first_row + tid < n) rows[tid] = load(boxes1 + (first_row + tid) * 5);
  const int c = tid - iou_tile_rows;
  if (c >= 0 && c < iou_tile_columns && first_column + c < m) {
    columns[c] = load(boxes2 + (first_column + c) * 5);
  }
  __syncthreads();
  const int column = tid % iou_tile_columns;
  if (first_column + column >= m) return;
  const RotatedBox<Acc> b = columns[column];
  const Acc radius = bounding_radius(b);
  for (int r = tid / iou_tile_columns; r < iou_tile_rows && first_row + r < n;
       r += iou_threads / iou_tile_columns) {
    const RotatedBox<Acc> a = rows[r];
    const Acc dx = a.cx - b.cx, dy = a.cy - b.cy, reach = bounding_radius(a) + radius;
    const Acc value = dx * dx + dy * dy <= reach * reach ? iou(a, b) : Acc(0);
    iou_out[(first_row + r) * m + first_column + column] = narrow<T>(value);
  }
}

template <typename T>
void launch_box_iou_rotated(const T* boxes1, const T* boxes2, T* iou, int64_t n, int64_t m,
                            cudaStream_t stream) {
  if (n == 0 || m == 0) return;
  const int64_t row_tiles = ceil_div(n, iou_tile_rows);
  const int64_t column_tiles = ceil_div(m, iou_tile_columns);
  // At 2048 results a block, 2^31 blocks hold more than any device's memory.
  launch(box_iou_rotated_kernel<T>, dim3(static_cast<unsigned>(row_tiles * column_tiles)),
         dim3(iou_threads), 0, stream, boxes1, boxes2, iou, n, m, column_tiles);
}

}  // namespace fastcv::cuda
