// What the forward and backward kernels share: a sample of the image.
#pragma once

#include "common/convert.cuh"
#include "deform_conv2d/deform_conv2d_kernel.h"

namespace fastcv::cuda {

template <typename T>
struct DevicePosition {
  AxisPosition<T> y, x;
  T mask;
};

template <typename T>
__device__ DevicePosition<acc_t<T>> position_of(const DeformShape& s,
                                                const DeformPositions<T>& positions, int64_t image,
                                                int y, int x, int group, int tap) {
  using Acc = acc_t<T>;
  const Strided<const T>&offset = positions.offset, &mask = positions.mask;
  const int64_t channel = int64_t{group} * s.taps() + tap;
  const T* dy =
      offset.data + image * offset.n + 2 * channel * offset.c + y * offset.h + x * offset.w;
  const Acc row = static_cast<Acc>(s.row_of(y, tap)) + widen(dy[0]);
  const Acc column = static_cast<Acc>(s.column_of(x, tap)) + widen(dy[offset.c]);
  Acc m = 1;
  if (mask.data != nullptr) {
    m = widen(mask.data[image * mask.n + channel * mask.c + y * mask.h + x * mask.w]);
  }
  return {axis_position(row, s.height), axis_position(column, s.width), m};
}

__device__ __forceinline__ float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double multiply_add(double a, double b, double c) {
  return fma(a, b, c);
}

// `image` at the channel in question.
template <typename T>
__device__ acc_t<T> read_sample(const Sample<acc_t<T>>& s, const T* image, int64_t pixel_stride) {
  if (s.outside()) return 0;
  acc_t<T> sum = s.weight[3] * widen(image[s.pixel[3] * pixel_stride]);
  for (int k = 2; k >= 0; --k) {
    sum = multiply_add(s.weight[k], widen(image[s.pixel[k] * pixel_stride]), sum);
  }
  return sum;
}

constexpr int64_t blocks_for(int64_t n, int64_t of_block) { return (n + of_block - 1) / of_block; }

}  // namespace fastcv::cuda
