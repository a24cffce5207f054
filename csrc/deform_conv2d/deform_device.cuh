// What the kernels share: a sample of the image, and who works on it.
#pragma once

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/pack.cuh"
#include "common/host/ceil_div.h"
#include "deform_conv2d/deform_conv2d_kernel.h"

namespace fastcv::cuda {

FASTCV_HD constexpr int64_t blocks_for(int64_t n, int64_t of_block) {
  return ceil_div(n, of_block);
}

namespace deform {

constexpr int threads = 256;

// An output pixel of the window with an offset group. blockIdx.y is a row of the kernel, whose taps
// of a place are the work of `lanes` neighbouring threads: each takes every lanes-th pack of
// channels. Where a tap reads, one thread works out for all of them.
struct Place {
  bool exists;
  int group;       // of offsets
  int row, image;  // output pixel and image in the window
  int y, x;

  __device__ Place(const DeformShape& s, const DeformWindow& w, unsigned number) {
    const unsigned groups = s.offset_groups, count = w.count, width = s.out_width;
    const unsigned of_window = number / groups;
    group = number - of_window * groups;
    row = of_window, image = of_window / count;
    exists = image < w.images;
    const unsigned pixel = w.first + of_window - image * count;
    y = pixel / width, x = pixel - y * width;
  }
};

__device__ __forceinline__ int tap_of(const DeformShape& s, int j) {
  return blockIdx.y * s.kernel_width + j;
}

template <typename T>
struct DevicePosition {
  AxisPosition<T> y, x;
  T mask;
};

template <typename T>
__device__ DevicePosition<acc_t<T>> position_of(const DeformShape& s, const DeformWindow& w,
                                                const DeformPositions<T>& positions,
                                                const Place& at, int tap) {
  using Acc = acc_t<T>;
  const Strided<const T>&offset = positions.offset, &mask = positions.mask;
  const int64_t n = w.image + at.image, channel = int64_t{at.group} * s.taps() + tap;
  const T* dy =
      offset.data + n * offset.n + 2 * channel * offset.c + at.y * offset.h + at.x * offset.w;
  const Acc row = static_cast<Acc>(s.row_of(at.y, tap)) + widen(dy[0]);
  const Acc column = static_cast<Acc>(s.column_of(at.x, tap)) + widen(dy[offset.c]);
  Acc m = 1;
  if (mask.data != nullptr) {
    m = widen(mask.data[n * mask.n + channel * mask.c + at.y * mask.h + at.x * mask.w]);
  }
  return {axis_position(row, s.height), axis_position(column, s.width), m};
}

// How a block's threads share its places and taps.
struct Sharing {
  int lanes, taps;  // threads of a place; taps at once, of which a block keeps the samples

  __device__ __host__ int places() const { return threads / lanes; }
};

// Calls f(index, place, j) for the places of a block and taps [first, first + here) of its kernel
// row, a thread for each.
template <typename F>
__device__ __forceinline__ void for_each_tap(const DeformShape& s, const DeformWindow& w,
                                             const Sharing& sharing, int first, int here, F f) {
  for (int i = threadIdx.x; i < sharing.places() * here; i += threads) {
    const Place place(s, w, blockIdx.x * sharing.places() + i / here);
    if (place.exists) f(i, place, first + i % here);
  }
}

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

// `of_tap`: bytes of shared memory.
inline Sharing sharing_for(const DeformShape& s, int pack, size_t of_tap) {
  int lanes = 1;
  while (lanes < 32 && lanes * pack < s.offset_group_channels()) lanes *= 2;
  Sharing sharing{lanes, 1};
  const int fit = static_cast<int>(32 * 1024 / (of_tap * sharing.places()));
  sharing.taps = fit < 1 ? 1 : fit < s.kernel_width ? fit : s.kernel_width;
  return sharing;
}

inline dim3 grid_for(const DeformShape& s, const DeformWindow& w, int places_of_block) {
  const int64_t places = w.images * w.count * s.offset_groups;
  return dim3(static_cast<unsigned>(blocks_for(places, places_of_block)), s.kernel_height);
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
