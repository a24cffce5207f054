// The bins of RoIPool and its position-sensitive form, for host and device: windows of whole
// pixels, which may share a row or column with their neighbours.
#pragma once

#include "common/host/host_device.h"
#include "common/roi/roi_sampling.h"

namespace fastcv {

// One axis of a RoI from pixel `start` on: bin p covers [floor(p * length), ceil((p + 1) *
// length)).
template <typename T>
struct Windows {
  int start;
  T length;
  int pooled;

  // Clipped to [0, size].
  FASTCV_HD Range window(int bin, int size) const {
    const T begin = floor(static_cast<T>(bin) * length) + static_cast<T>(start);
    const T end = ceil(static_cast<T>(bin + 1) * length) + static_cast<T>(start);
    const T max = static_cast<T>(size);
    return {static_cast<int>(begin < 0     ? T(0)
                             : begin < max ? begin
                                           : max),
            static_cast<int>(end < 0     ? T(0)
                             : end < max ? end
                                         : max)};
  }

  // The bins that may hold a pixel, and at most a few more.
  FASTCV_HD Range holding(int pixel) const {
    const T at = static_cast<T>(pixel - start) / length;
    const T margin = 1 / length + 2;
    const T first = at - margin, last = at + margin;
    const T max = static_cast<T>(pooled);
    return {static_cast<int>(first > 0 ? (first < max ? first : max) : T(0)),
            static_cast<int>(last > 0 ? (last < max ? last : max) : T(0))};
  }
};

// The nearest pixel, within what an int holds.
template <typename T>
FASTCV_HD int nearest_pixel(T x) {
  constexpr T max = 1 << 28;
  return x > -max ? static_cast<int>(x < max ? round(x) : max) : -(1 << 28);
}

// From the rounded corners; `last` is 1 where the end pixel belongs to the RoI.
template <typename T>
FASTCV_HD Windows<T> make_windows(T low, T high, T spatial_scale, int pooled, int last) {
  if (!(low == low && high == high)) return {-(1 << 28), T(1), pooled};  // NaN: far outside
  const int start = nearest_pixel(low * spatial_scale);
  const int extent = nearest_pixel(high * spatial_scale) - start + last;
  return {start, static_cast<T>(extent > 1 ? extent : 1) / static_cast<T>(pooled), pooled};
}

}  // namespace fastcv
