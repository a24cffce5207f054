// A bilinear sample of an image, for host and device: between pixel centres at whole numbers, and 0
// for what lies outside.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

// A position along one axis: between pixels `low` and `low` + 1.
template <typename T>
struct AxisPosition {
  int low;
  T fraction;
  bool has_low, has_high;  // whether these pixels are in the image; neither: nothing is read
};

template <typename T>
FASTCV_HD AxisPosition<T> axis_position(T position, int size) {
  if (!(position >= -1 && position < static_cast<T>(size))) return {0, 0, false, false};  // NaN too
  const T below = floor(position);
  const int low = static_cast<int>(below);
  return {low, position - below, low >= 0 && low < size, low + 1 < size};
}

// The four pixels of one sample, row by row, and what each weighs, the mask included. A corner
// outside of the image weighs 0 and stands for its neighbour inside, so that all four can be read.
template <typename T>
struct Sample {
  int32_t pixel[4];
  T weight[4];

  FASTCV_HD bool outside() const { return pixel[0] < 0; }
};

template <typename T>
FASTCV_HD Sample<T> make_sample(const AxisPosition<T>& y, const AxisPosition<T>& x, int width,
                                T mask) {
  if (!((y.has_low || y.has_high) && (x.has_low || x.has_high))) {
    return {{-1, -1, -1, -1}, {0, 0, 0, 0}};
  }
  const int32_t top = (y.has_low ? y.low : y.low + 1) * width;
  const int32_t bottom = (y.has_high ? y.low + 1 : y.low) * width;
  const int32_t left = x.has_low ? x.low : x.low + 1, right = x.has_high ? x.low + 1 : x.low;
  const T of_top = y.has_low ? 1 - y.fraction : T(0), of_bottom = y.has_high ? y.fraction : T(0);
  const T of_left = x.has_low ? 1 - x.fraction : T(0), of_right = x.has_high ? x.fraction : T(0);
  return {{top + left, top + right, bottom + left, bottom + right},
          {of_top * of_left * mask, of_top * of_right * mask, of_bottom * of_left * mask,
           of_bottom * of_right * mask}};
}

template <typename T>
struct SampleGradient {
  T y, x, mask;
};

// `dot[i]` is the sum over channels of the sampled value's gradient times corner i. At a whole
// number, where the value has a kink, the gradient is that towards the higher pixel.
template <typename T>
FASTCV_HD SampleGradient<T> sample_gradient(const AxisPosition<T>& y, const AxisPosition<T>& x,
                                            const T* dot, T mask) {
  const T top_left = y.has_low && x.has_low ? dot[0] : T(0);
  const T top_right = y.has_low && x.has_high ? dot[1] : T(0);
  const T bottom_left = y.has_high && x.has_low ? dot[2] : T(0);
  const T bottom_right = y.has_high && x.has_high ? dot[3] : T(0);
  const T top = (1 - x.fraction) * top_left + x.fraction * top_right;
  const T bottom = (1 - x.fraction) * bottom_left + x.fraction * bottom_right;
  const T left = (1 - y.fraction) * top_left + y.fraction * bottom_left;
  const T right = (1 - y.fraction) * top_right + y.fraction * bottom_right;
  return {mask * (bottom - top), mask * (right - left),
          (1 - y.fraction) * top + y.fraction * bottom};
}

}  // namespace fastcv
