// Where flow_warp looks, for host and device.
#pragma once

#include <cstdint>

#include "common/host/bilinear_sample.h"

namespace fastcv {

struct WarpShape {
  int64_t batch, channels;
  int height, width, out_height, out_width;
  bool border, align_corners;

  FASTCV_HD int64_t pixels() const { return int64_t{height} * width; }
  FASTCV_HD int64_t out_pixels() const { return int64_t{out_height} * out_width; }
};

// Where pixel i of `out_size` lies in `size`, before it moves.
template <typename T>
FASTCV_HD T unmoved(int i, int size, int out_size, bool align_corners) {
  if (size == out_size) return static_cast<T>(i);
  if (!align_corners) {
    return (static_cast<T>(i) + T(0.5)) * static_cast<T>(size) / static_cast<T>(out_size) - T(0.5);
  }
  return out_size > 1 ? static_cast<T>(i) * static_cast<T>(size - 1) / static_cast<T>(out_size - 1)
                      : T(0);
}

// One axis of a sample, and whether it moves with the flow.
template <typename T>
struct WarpAxis {
  AxisPosition<T> at;
  bool moves;
};

template <typename T>
FASTCV_HD WarpAxis<T> warp_axis(T position, int size, bool border) {
  const T last = static_cast<T>(size - 1);
  if (border && size > 0) {
    const bool moves = position > 0 && position < last;
    position = position <= 0 ? T(0) : position >= last ? last : position;  // NaN stays
    return {axis_position(position, size), moves};
  }
  // At -1 the pixel at 0 weighs nothing.
  return {axis_position(position > -1 ? position : T(-2), size), true};
}

template <typename T>
struct WarpPosition {
  WarpAxis<T> y, x;
};

// Where the pixel at (row, column) of the output looks, moved by (flow_x, flow_y).
template <typename T>
FASTCV_HD WarpPosition<T> warp_position(const WarpShape& s, int row, int column, T flow_x,
                                        T flow_y) {
  const T x = unmoved<T>(column, s.width, s.out_width, s.align_corners) + flow_x;
  const T y = unmoved<T>(row, s.height, s.out_height, s.align_corners) + flow_y;
  return {warp_axis(y, s.height, s.border), warp_axis(x, s.width, s.border)};
}

// The same of one of the H' * W' pixels; `flow` is an image's [2, H', W'].
template <typename T>
FASTCV_HD WarpPosition<T> warp_position(const WarpShape& s, const T* flow, int64_t pixel) {
  const int at = static_cast<int>(pixel);
  return warp_position(s, at / s.out_width, at % s.out_width, flow[pixel],
                       flow[s.out_pixels() + pixel]);
}

template <typename T>
FASTCV_HD Sample<T> warp_sample(const WarpShape& s, const WarpPosition<T>& at) {
  return make_sample(at.y.at, at.x.at, s.width, T(1));
}

template <typename T>
struct FlowGradient {
  T x, y;
};

// `dot[k]` is the sum over channels of the output's gradient times corner k.
template <typename T>
FASTCV_HD FlowGradient<T> flow_gradient(const WarpPosition<T>& at, const T* dot) {
  const SampleGradient<T> g = sample_gradient(at.y.at, at.x.at, dot, T(1));
  return {at.x.moves ? g.x : T(0), at.y.moves ? g.y : T(0)};
}

}  // namespace fastcv
