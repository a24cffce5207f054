// What the kernels share: a sample of the image, and who works on it.
#pragma once

#include "common/convert.cuh"
#include "common/launch.cuh"
#include "common/pack.cuh"
#include "deform_conv2d/deform_conv2d_kernel.h"

namespace fastcv::cuda {

__device__ __forceinline__ float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double multiply_add(double a, double b, double c) {
  return fma(a, b, c);
}

FASTCV_HD constexpr int64_t blocks_for(int64_t n, int64_t of_block) {
  return (n + of_block - 1) / of_block;
}

namespace deform {

constexpr int threads = 256;

// An output pixel of the window with an offset group and a row of the kernel, whose taps are the
// work of `lanes` neighbouring threads: each takes every lanes-th pack of channels. Whole numbers
// are divided once for all of a row's taps.
struct Place {
  bool exists;
  int lane, group, kernel_row;  // the group is one of offsets
  int row, image;               // output pixel and image in the window
  int y, x;

  __device__ Place(const DeformShape& s, const DeformWindow& w, int lanes) {
    const unsigned i = blockIdx.x * threads + threadIdx.x;
    const unsigned groups = s.offset_groups, count = w.count, width = s.out_width;
    const unsigned site = i / lanes, of_window = site / groups;
    lane = i % lanes, group = site % groups, kernel_row = blockIdx.y;
    row = of_window;
    image = of_window / count;
    exists = image < w.images;
    const unsigned pixel = w.first + of_window % count;
    y = pixel / width, x = pixel % width;
  }
  __device__ int tap(const DeformShape& s, int j) const { return kernel_row * s.kernel_width + j; }
};

template <typename T>
struct DevicePosition {
  AxisPosition<T> y, x;
  T mask;
};

// Where the taps of a place read.
template <typename T>
struct PlacePositions {
  using Acc = acc_t<T>;
  const T* offset;
  const T* mask;
  int64_t offset_step, mask_step;  // from channel to channel
  int row, column;                 // of the kernel row's first tap, without its offset

  __device__ PlacePositions(const DeformShape& s, const DeformWindow& w,
                            const DeformPositions<T>& p, const Place& at) {
    const int64_t n = w.image + at.image;
    const int64_t channel = int64_t{at.group} * s.taps() + at.tap(s, 0);
    offset_step = p.offset.c, mask_step = p.mask.c;
    offset = p.offset.data + n * p.offset.n + 2 * channel * p.offset.c + at.y * p.offset.h +
             at.x * p.offset.w;
    mask = p.mask.data == nullptr ? nullptr
                                  : p.mask.data + n * p.mask.n + channel * p.mask.c +
                                        at.y * p.mask.h + at.x * p.mask.w;
    row = s.row_of(at.y, 0) + at.kernel_row * s.dilation_height;
    column = s.column_of(at.x, 0);
  }

  __device__ DevicePosition<Acc> operator()(const DeformShape& s, int j) const {
    const Acc dy = widen(offset[2 * j * offset_step]),
              dx = widen(offset[(2 * j + 1) * offset_step]);
    const Acc m = mask == nullptr ? Acc(1) : widen(mask[j * mask_step]);
    return {axis_position(static_cast<Acc>(row) + dy, s.height),
            axis_position(static_cast<Acc>(column + j * s.dilation_width) + dx, s.width), m};
  }
};

// Where tap `tap` of a channel lies among an output pixel's columns. One group is the usual case,
// and a division as long as the rest of a tap.
__device__ __forceinline__ int column_of(const DeformShape& s, int channel, int tap) {
  if (s.groups == 1) return tap * static_cast<int>(s.channels) + channel;
  const int wide = static_cast<int>(s.group_channels()), group = channel / wide;
  return (group * s.taps() + tap) * wide + channel - group * wide;
}
__device__ __forceinline__ int columns_of_pixel(const DeformShape& s) {
  return static_cast<int>(s.channels) * s.taps();
}

// The threads of a place: a power of two.
inline int lanes_for(const DeformShape& s, int pack) {
  int lanes = 1;
  while (lanes < 32 && lanes * pack < s.offset_group_channels()) lanes *= 2;
  return lanes;
}

inline dim3 grid_for(const DeformShape& s, const DeformWindow& w, int lanes) {
  const int64_t places = w.images * w.count * s.offset_groups;
  return dim3(static_cast<unsigned>(blocks_for(places * lanes, threads)), s.kernel_height);
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
