// Where the RoIAlign ops look, for host and device.
//
// A RoI is divided into bins, and along each axis a bin has `count` samples, spaced evenly: sample
// i of the bin that begins at b lies at b + (i + 0.5) * length / count. Between pixel centres, at
// whole numbers, the image is interpolated; up to one pixel beyond the outermost centres it
// continues as their values, and further out it is 0.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

// One axis of a RoI, in pixels: bin p begins at start + p * length.
template <typename T>
struct Bins {
  T start, length;
  int pooled;  // how many bins
  int count;   // samples in each; 0 if the RoI has no extent to sample

  FASTCV_HD T position(int bin, int sample) const {
    return start + static_cast<T>(bin) * length +
           (static_cast<T>(sample) + T(0.5)) * length / static_cast<T>(count);
  }
};

// `extent` may be anything, NaN too. With sampling_ratio <= 0 there is about a sample per pixel.
template <typename T>
FASTCV_HD Bins<T> make_bins(T start, T extent, int pooled, int sampling_ratio) {
  const T length = extent / static_cast<T>(pooled);
  int count = sampling_ratio > 0 ? sampling_ratio : 0;
  if (sampling_ratio <= 0 && length > 0) {
    constexpr T max = 1 << 30;
    count = length < max ? static_cast<int>(ceil(length)) : 1 << 30;
  }
  return {start, length, pooled, count};
}

struct Range {
  int begin, end;
};

// Of `count` places begin + (i + 0.5) * step, those in [low, high], and at most a few more: so that
// loops are as long as the image, whatever the box.
template <typename T>
FASTCV_HD Range places_between(T begin, T step, int count, T low, T high) {
  if (!(step > 0)) return {0, count};
  // What a position's own rounding may shift, in steps.
  const double slack = 1 + static_cast<double>((begin < 0 ? -begin : begin) / step) *
                               (sizeof(T) == 8 ? 1e-15 : 5e-7);
  const double first = static_cast<double>((low - begin) / step) - 0.5 - slack;
  const double last = static_cast<double>((high - begin) / step) - 0.5 + slack;
  if (!(first < count && last >= 0)) return {0, 0};
  return {first > 0 ? static_cast<int>(first) : 0,
          last < count - 1 ? static_cast<int>(last) + 1 : count};
}

// The samples of a bin that lie in [low, high], and at most a few more.
template <typename T>
FASTCV_HD Range samples_between(const Bins<T>& bins, int bin, T low, T high) {
  return places_between(bins.start + static_cast<T>(bin) * bins.length,
                        bins.length / static_cast<T>(bins.count), bins.count, low, high);
}

// A sample along one axis: low_weight * pixel[low] + high_weight * pixel[high].
template <typename T>
struct AxisSample {
  int low, high;
  T low_weight, high_weight;  // both 0 outside of the image
};

template <typename T>
FASTCV_HD AxisSample<T> axis_sample(T position, int size) {
  const bool inside_image = position >= -1 && position <= static_cast<T>(size) && size > 0;
  if (!inside_image) return {0, 0, 0, 0};  // NaN too
  const T inside = position > 0 ? position : T(0);
  const int low = static_cast<int>(inside);
  if (low >= size - 1) return {size - 1, size - 1, 1, 0};
  const T fraction = inside - static_cast<T>(low);
  return {low, low + 1, 1 - fraction, fraction};
}

// What all samples of a bin together take from one pixel: the gradient's weight.
template <typename T>
FASTCV_HD T bin_weight(const Bins<T>& bins, int bin, int pixel, int size) {
  const Range samples =
      samples_between(bins, bin, static_cast<T>(pixel - 1), static_cast<T>(pixel + 1));
  T weight = 0;
  for (int i = samples.begin; i < samples.end; ++i) {
    const AxisSample<T> s = axis_sample(bins.position(bin, i), size);
    if (s.low == pixel) weight += s.low_weight;
    if (s.high == pixel) weight += s.high_weight;
  }
  return weight;
}

// The bins with samples in [low, high], and at most a few more.
template <typename T>
FASTCV_HD Range bins_between(const Bins<T>& bins, T low, T high) {
  if (bins.count == 0) return {0, 0};
  return places_between(bins.start, bins.length, bins.pooled, low - bins.length,
                        high + bins.length);
}

// Whether samples may take from pixels in [first, last].
template <typename T>
FASTCV_HD bool reaches(const Bins<T>& bins, int first, int last) {
  const T end = bins.start + static_cast<T>(bins.pooled) * bins.length;
  const T low = bins.start < end ? bins.start : end, high = bins.start < end ? end : bins.start;
  const T slack = 1 + ((low < 0 ? -low : low) + (high < 0 ? -high : high)) * T(1e-6);
  return low <= static_cast<T>(last + 1) + slack && high >= static_cast<T>(first - 1) - slack;
}

}  // namespace fastcv
