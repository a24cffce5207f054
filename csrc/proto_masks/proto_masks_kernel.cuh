// First a thread makes a sample of an instance, where its box lets it through; then a thread makes
// 16 neighbouring bytes of the output, and stores them at once.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/pack.cuh"
#include "common/host/ceil_div.h"
#include "common/masks/mask_tap.h"
#include "proto_masks/proto_crop.h"
#include "proto_masks/proto_masks_kernel.h"

namespace fastcv::cuda {

// The prototypes' size and how the picture's pixels lie on them.
template <typename Acc>
struct ProtoGrid {
  int32_t rows, columns;
  Acc per_row, per_column;  // samples for a pixel

  __device__ ProtoCrop crop(const Acc* box) const {
    return proto_crop(box, per_row, per_column, rows, columns);
  }
};

__device__ __forceinline__ float exp_of(float x) { return expf(x); }
__device__ __forceinline__ double exp_of(double x) { return exp(x); }

template <typename T>
__global__ void __launch_bounds__(256)
    proto_samples_kernel(const T* __restrict__ prototypes, const T* __restrict__ coefficients,
                         const acc_t<T>* __restrict__ boxes, int64_t count, int64_t prototype_count,
                         ProtoGrid<acc_t<T>> grid, acc_t<T>* __restrict__ samples) {
  using Acc = acc_t<T>;
  const int64_t plane = int64_t{grid.rows} * grid.columns;
  const int64_t index = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (index >= count * plane) return;
  const int64_t i = index / plane, place = index % plane;
  const auto x = static_cast<int32_t>(place % grid.columns);
  const auto y = static_cast<int32_t>(place / grid.columns);
  if (!grid.crop(boxes + i * 4).holds(x, y)) return;  // nobody reads it
  Acc sum = 0;
  for (int64_t k = 0; k < prototype_count; ++k) {
    sum = multiply_add(widen(coefficients[i * prototype_count + k]),
                       widen(prototypes[k * plane + place]), sum);
  }
  samples[index] = 1 / (1 + exp_of(-sum));
}

// One row of one mask.
template <typename Acc>
struct ProtoRow {
  const Acc* samples;
  ProtoGrid<Acc> grid;
  ProtoCrop crop;
  MaskTap<Acc> y;

  __device__ ProtoRow(const Acc* samples, const Acc* boxes, const ProtoGrid<Acc>& grid, int64_t i,
                      int32_t row, Acc row_ratio)
      : samples(samples + i * grid.rows * grid.columns),
        grid(grid),
        crop(grid.crop(boxes + i * 4)),
        y(mask_tap(row, grid.rows, row_ratio)) {
    if (y.high < crop.top || y.low >= crop.bottom) crop.right = crop.left;
  }

  __device__ Acc sample(int32_t column, int32_t row) const {
    return crop.holds(column, row) ? samples[int64_t{row} * grid.columns + column] : Acc(0);
  }

  __device__ bool above(int32_t column, Acc column_ratio, Acc threshold) const {
    if (crop.left >= crop.right) return false;
    const MaskTap<Acc> x = mask_tap(column, grid.columns, column_ratio);
    if (x.high < crop.left || x.low >= crop.right) return false;
    const Acc low = x.low_weight * sample(x.low, y.low) + x.high_weight * sample(x.high, y.low);
    const Acc high = x.low_weight * sample(x.low, y.high) + x.high_weight * sample(x.high, y.high);
    return y.low_weight * low + y.high_weight * high > threshold;
  }
};

template <typename Acc>
__global__ void __launch_bounds__(256)
    proto_masks_kernel(const Acc* __restrict__ samples, const Acc* __restrict__ boxes,
                       int64_t count, ProtoGrid<Acc> grid, int32_t height, int32_t width,
                       Acc row_ratio, Acc column_ratio, Acc threshold,
                       uint8_t* __restrict__ masks) {
  const int64_t bytes = count * height * width;
  const int64_t begin = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 16;
  if (begin >= bytes) return;
  const int64_t row = begin / width;
  int32_t x = static_cast<int32_t>(begin % width);
  int32_t y = static_cast<int32_t>(row % height);
  int64_t i = row / height;
  ProtoRow<Acc> here(samples, boxes, grid, i, y, row_ratio);
  const int n = static_cast<int>(bytes - begin < 16 ? bytes - begin : 16);
  Pack<uint64_t, 2> pixels{};  // 8 bytes each, the lowest first
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll 1
    for (int k = 0; k < 8 && half * 8 + k < n; ++k) {
      if (x == width) {
        x = 0;
        if (++y == height) y = 0, ++i;
        here = ProtoRow<Acc>(samples, boxes, grid, i, y, row_ratio);
      }
      pixels.item[half] |= uint64_t{here.above(x++, column_ratio, threshold)} << (8 * k);
    }
  }
  if (n == 16) {
    *reinterpret_cast<Pack<uint64_t, 2>*>(masks + begin) = pixels;
  } else {
#pragma unroll
    for (int k = 0; k < 16; ++k) {
      if (k < n) masks[begin + k] = static_cast<uint8_t>(pixels.item[k / 8] >> (8 * (k % 8)));
    }
  }
}

template <typename T>
void launch_proto_masks(const T* prototypes, const T* coefficients, const acc_t<T>* boxes,
                        int64_t count, int64_t prototype_count, int64_t rows, int64_t columns,
                        int64_t height, int64_t width, double threshold, acc_t<T>* samples,
                        uint8_t* masks, cudaStream_t stream) {
  using Acc = acc_t<T>;
  constexpr int threads = 256;
  const ProtoGrid<Acc> grid{static_cast<int32_t>(rows), static_cast<int32_t>(columns),
                            samples_per_pixel<Acc>(rows, height),
                            samples_per_pixel<Acc>(columns, width)};
  const int64_t sample_blocks = ceil_div(count * rows * columns, int64_t{threads});
  launch(proto_samples_kernel<T>, dim3(static_cast<unsigned>(sample_blocks)), dim3(threads), 0,
         stream, prototypes, coefficients, boxes, count, prototype_count, grid, samples);
  const int64_t blocks = ceil_div(count * height * width, int64_t{threads} * 16);
  launch(proto_masks_kernel<Acc>, dim3(static_cast<unsigned>(blocks)), dim3(threads), 0, stream,
         samples, boxes, count, grid, static_cast<int32_t>(height), static_cast<int32_t>(width),
         static_cast<Acc>(rows) / static_cast<Acc>(height),
         static_cast<Acc>(columns) / static_cast<Acc>(width), static_cast<Acc>(threshold), masks);
}

}  // namespace fastcv::cuda
