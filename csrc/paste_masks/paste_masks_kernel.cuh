// A thread makes 16 neighbouring bytes of the output, and stores them at once.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/pack.cuh"
#include "common/host/ceil_div.h"
#include "common/masks/mask_tap.h"
#include "paste_masks/paste_masks_kernel.h"
#include "paste_masks/pasted_box.h"

namespace fastcv::cuda {

// A mask's row of samples between two neighbours; the border around the mask is 0. The operations
// are the CPU's, in its order.
template <typename T>
__device__ __forceinline__ acc_t<T> sample_in_row(const T* mask, int32_t side, int32_t row,
                                                  const MaskTap<acc_t<T>>& x) {
  const bool inside = row >= 1 && row <= side;
  const T* samples = mask + int64_t{row - 1} * side - 1;
  const acc_t<T> low = inside && x.low >= 1 && x.low <= side ? widen(samples[x.low]) : 0;
  const acc_t<T> high = inside && x.high >= 1 && x.high <= side ? widen(samples[x.high]) : 0;
  return x.low_weight * low + x.high_weight * high;
}

// One row of one mask on the picture.
template <typename T>
struct PastedRow {
  using Acc = acc_t<T>;
  const T* mask;
  int32_t side;
  PastedBox box;
  Acc ratio = 0;  // along x
  MaskTap<Acc> y{};
  bool covered;

  __device__ PastedRow(const T* masks, const Acc* boxes, int64_t i, int32_t side, Acc growth,
                       int32_t row)
      : mask(masks + i * side * side), side(side), box(pasted_box(boxes + i * 4, growth)) {
    covered = box.width > 0 && row >= box.top && row < box.top + box.height;
    if (!covered) return;
    const Acc samples = static_cast<Acc>(side + 2);
    ratio = samples / static_cast<Acc>(box.width);
    y = mask_tap(row - box.top, side + 2, samples / static_cast<Acc>(box.height));
  }

  __device__ bool above(int32_t column, Acc threshold) const {
    if (!covered || column < box.left || column >= box.left + box.width) return false;
    const MaskTap<Acc> x = mask_tap(column - box.left, side + 2, ratio);
    const Acc low = sample_in_row(mask, side, y.low, x);
    const Acc high = sample_in_row(mask, side, y.high, x);
    return y.low_weight * low + y.high_weight * high > threshold;
  }
};

template <typename T>
__global__ void __launch_bounds__(256)
    paste_masks_kernel(const T* __restrict__ masks, const acc_t<T>* __restrict__ boxes,
                       int64_t count, int32_t side, int32_t height, int32_t width, acc_t<T> growth,
                       acc_t<T> threshold, uint8_t* __restrict__ pasted) {
  const int64_t bytes = count * height * width;
  const int64_t begin = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 16;
  if (begin >= bytes) return;
  const int64_t row = begin / width;
  int32_t x = static_cast<int32_t>(begin % width);
  int32_t y = static_cast<int32_t>(row % height);
  int64_t i = row / height;
  PastedRow<T> here(masks, boxes, i, side, growth, y);
  const int n = static_cast<int>(bytes - begin < 16 ? bytes - begin : 16);
  Pack<uint64_t, 2> pixels{};  // 8 bytes each, the lowest first
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll 1
    for (int k = 0; k < 8 && half * 8 + k < n; ++k) {
      if (x == width) {
        x = 0;
        if (++y == height) y = 0, ++i;
        here = PastedRow<T>(masks, boxes, i, side, growth, y);
      }
      pixels.item[half] |= uint64_t{here.above(x++, threshold)} << (8 * k);
    }
  }
  if (n == 16) {
    *reinterpret_cast<Pack<uint64_t, 2>*>(pasted + begin) = pixels;
  } else {
#pragma unroll
    for (int k = 0; k < 16; ++k) {
      if (k < n) pasted[begin + k] = static_cast<uint8_t>(pixels.item[k / 8] >> (8 * (k % 8)));
    }
  }
}

template <typename T>
void launch_paste_masks(const T* masks, const acc_t<T>* boxes, int64_t count, int64_t side,
                        int64_t height, int64_t width, double threshold, uint8_t* pasted,
                        cudaStream_t stream) {
  using Acc = acc_t<T>;
  constexpr int threads = 256;
  const int64_t blocks = ceil_div(count * height * width, threads * 16);
  launch(paste_masks_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(threads), 0, stream,
         masks, boxes, count, static_cast<int32_t>(side), static_cast<int32_t>(height),
         static_cast<int32_t>(width), mask_growth<Acc>(side), static_cast<Acc>(threshold), pasted);
}

}  // namespace fastcv::cuda
