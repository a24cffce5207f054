// What the kernels share: a sample of the image, and who works on it.
#pragma once

#include "common/convert.cuh"
#include "common/launch.cuh"
#include "common/pack.cuh"
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

FASTCV_HD constexpr int64_t blocks_for(int64_t n, int64_t of_block) {
  return (n + of_block - 1) / of_block;
}

namespace deform {

constexpr int threads = 256;

// A sample of the window, an output pixel's tap in an offset group, is the work of `lanes`
// neighbouring threads: each takes every lanes-th pack of channels. Neighbours' samples are other
// taps of the same pixel, so that what they read lies close together.
struct Place {
  bool exists;
  int lane, tap, group;  // of offsets
  int64_t row, image;    // output pixel and image in the window
  int y, x;

  __device__ Place(const DeformShape& s, const DeformWindow& w, int lanes) {
    const int i = static_cast<int>(blockIdx.x * threads + threadIdx.x);
    lane = i % lanes;
    const int sample = i / lanes, groups = s.offset_groups, taps = s.taps();
    tap = sample % taps;
    group = sample / taps % groups;
    const int of_pixel = sample / taps / groups;
    row = of_pixel;
    image = of_pixel / w.count;
    exists = image < w.images;
    const int pixel = w.first + of_pixel % w.count;
    y = pixel / s.out_width, x = pixel % s.out_width;
  }
};

// Where tap `tap` of a channel lies among an output pixel's columns.
__device__ __forceinline__ int64_t column_of(const DeformShape& s, int channel, int tap) {
  const int wide = static_cast<int>(s.group_channels()), group = channel / wide;
  return (int64_t{group} * s.taps() + tap) * wide + channel - group * wide;
}

// The threads of a sample: a power of two.
inline int lanes_for(const DeformShape& s, int pack) {
  int lanes = 1;
  while (lanes < 32 && lanes * pack < s.offset_group_channels()) lanes *= 2;
  return lanes;
}

inline dim3 grid_for(const DeformShape& s, const DeformWindow& w, int lanes) {
  const int64_t samples = w.images * w.count * s.offset_groups * s.taps();
  return dim3(static_cast<unsigned>(blocks_for(samples * lanes, threads)));
}

// Whether `pack` neighbouring channels can be read or written at once.
template <int pack, typename T>
bool packs(const Pixels<T>& p) {
  return p.channel_stride == 1 && p.pixel_stride % pack == 0 && p.image_stride % pack == 0 &&
         reinterpret_cast<uintptr_t>(p.data) % 16 == 0;
}
template <int pack>
bool packs(const DeformShape& s) {
  return s.group_channels() % pack == 0 && s.offset_group_channels() % pack == 0;
}

}  // namespace deform
}  // namespace fastcv::cuda
