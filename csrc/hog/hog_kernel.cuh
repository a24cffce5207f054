// A warp makes the histogram of a cell, lane k keeping bin k; a second kernel's warp scales a
// block.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/warp_sum.cuh"
#include "common/host/ceil_div.h"
#include "hog/hog_kernel.h"

namespace fastcv::cuda {

// The longest gradient of a pixel's channels.
template <typename T>
__device__ __forceinline__ void gradient_at(const HogArguments& a, const T* image, int64_t y,
                                            int64_t x, acc_t<T>& dx, acc_t<T>& dy,
                                            acc_t<T>& squared) {
  dx = dy = squared = 0;
  for (int64_t c = 0; c < a.channels; ++c) {
    const T* at = image + (c * a.height + y) * a.width + x;
    acc_t<T> h = 0, v = 0;
    if (x > 0 && x < a.width - 1) h = widen(at[1]) - widen(at[-1]);
    if (y > 0 && y < a.height - 1) v = widen(at[a.width]) - widen(at[-a.width]);
    const acc_t<T> length = h * h + v * v;
    if (length > squared) dx = h, dy = v, squared = length;
  }
}

template <typename T>
__global__ void __launch_bounds__(256)
    hog_cells_kernel(HogArguments a, const T* __restrict__ images, HogBorders<acc_t<T>> borders,
                     acc_t<T>* __restrict__ cells) {
  using Acc = acc_t<T>;
  const int64_t cell = int64_t{blockIdx.x} * 8 + threadIdx.x / 32;
  if (cell >= a.batch * a.cells_y * a.cells_x) return;  // whole warps
  const int lane = threadIdx.x % 32;
  const int64_t left = cell % a.cells_x * a.cell, top = cell / a.cells_x % a.cells_y * a.cell;
  const T* image = images + cell / (a.cells_x * a.cells_y) * a.channels * a.height * a.width;
  Acc sum = 0;
  for (int first = 0; first < a.cell * a.cell; first += 32) {
    const int i = first + lane;
    int bin = -1;
    Acc length = 0;
    if (i < a.cell * a.cell) {
      Acc dx, dy, squared;
      gradient_at(a, image, top + i / a.cell, left + i % a.cell, dx, dy, squared);
      const Acc sign = dy < 0 || (dy == 0 && dx < 0) ? Acc(-1) : Acc(1);
      bin = 0;
      for (int k = 0; k < a.orientations - 1; ++k) {
        const Acc cosine = borders.values[2 * k], sine = borders.values[2 * k + 1];
        bin += sign * (cosine * dy - sine * dx) >= 0 ? 1 : 0;
      }
      length = sqrt(squared);
    }
    // In the pixels' order, whoever reads them.
    for (int from = 0; from < 32; ++from) {
      const int its_bin = __shfl_sync(0xffffffffu, bin, from);
      const Acc its_length = __shfl_sync(0xffffffffu, length, from);
      if (its_bin == lane) sum += its_length;
    }
  }
  if (lane < a.orientations) {
    cells[cell * a.orientations + lane] = sum * (Acc(1) / static_cast<Acc>(a.cell * a.cell));
  }
}

template <typename T>
__global__ void __launch_bounds__(256)
    hog_blocks_kernel(HogArguments a, const acc_t<T>* __restrict__ cells,
                      T* __restrict__ descriptors) {
  using Acc = acc_t<T>;
  const int64_t block = int64_t{blockIdx.x} * 8 + threadIdx.x / 32;
  if (block >= a.batch * a.blocks_y * a.blocks_x) return;  // whole warps
  const int lane = threadIdx.x % 32, row = a.block * a.orientations, size = a.block * row;
  const int64_t x = block % a.blocks_x, y = block / a.blocks_x % a.blocks_y;
  const int64_t image = block / (a.blocks_x * a.blocks_y);
  const Acc* first = cells + ((image * a.cells_y + y) * a.cells_x + x) * a.orientations;
  const auto value = [&](int i) { return first[i / row * a.cells_x * a.orientations + i % row]; };
  Acc squares = 0;
  for (int i = lane; i < size; i += 32) squares += value(i) * value(i);
  const Acc scale = 1 / sqrt(warp_sum(squares) + Acc(1e-10));
  const auto cut = [&](int i) {
    const Acc scaled = value(i) * scale;
    return scaled < Acc(0.2) ? scaled : Acc(0.2);
  };
  squares = 0;
  for (int i = lane; i < size; i += 32) squares += cut(i) * cut(i);
  const Acc again = 1 / sqrt(warp_sum(squares) + Acc(1e-10));
  for (int i = lane; i < size; i += 32) descriptors[block * size + i] = narrow<T>(cut(i) * again);
}

template <typename T>
void launch_hog(const HogArguments& a, const T* images, const HogBorders<acc_t<T>>& borders,
                acc_t<T>* cells, T* descriptors, cudaStream_t stream) {
  const auto warps = [](int64_t count) { return dim3(static_cast<unsigned>(ceil_div(count, 8))); };
  launch(hog_cells_kernel<T>, warps(a.batch * a.cells_y * a.cells_x), dim3(256), 0, stream, a,
         images, borders, cells);
  launch(hog_blocks_kernel<T>, warps(a.batch * a.blocks_y * a.blocks_x), dim3(256), 0, stream, a,
         cells, descriptors);
}

}  // namespace fastcv::cuda
