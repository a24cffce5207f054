// The bins of one rotated RoI, for host and device. In its own frame, about its centre, u runs
// along w and v along h; common/rotated/rotated.h says how that lies in the image.
#pragma once

#include "common/roi/aligned_roi.h"
#include "common/rotated/rotated.h"

namespace fastcv {

template <typename T>
struct Point {
  T x, y;
};

template <typename T>
struct RotatedRoi {
  T cx, cy, cos, sin;
  Bins<T> rows, columns;  // of v and of u
  T per_sample;           // 1 / samples in a bin

  FASTCV_HD Point<T> in_image(T u, T v) const {
    return {u * cos + v * sin + cx, v * cos - u * sin + cy};
  }
  // (u, v) of a point of the image.
  FASTCV_HD Point<T> in_frame(T x, T y) const {
    const T dx = x - cx, dy = y - cy;
    return {dx * cos - dy * sin, dx * sin + dy * cos};
  }
  // Of one bin, the samples within `distance` of a point of the frame, and some more.
  FASTCV_HD Range rows_near(int bin, Point<T> p, T distance) const {
    return samples_between(rows, bin, p.y - distance, p.y + distance);
  }
  FASTCV_HD Range columns_near(int bin, Point<T> p, T distance) const {
    return samples_between(columns, bin, p.x - distance, p.x + distance);
  }
};

// `roi` is cx, cy, w, h, angle.
template <typename T>
FASTCV_HD RotatedRoi<T> rotated_roi(const T* roi, const RoiAlignOptions& options) {
  const T scale = static_cast<T>(options.spatial_scale);
  const T offset = options.aligned ? T(0.5) : T(0);
  T w = roi[2] * scale, h = roi[3] * scale;
  if (!options.aligned) {  // at least a pixel
    w = w < 1 ? T(1) : w;
    h = h < 1 ? T(1) : h;
  }
  // In double, so that host and device agree after rounding to float; whole turns go first.
  const double radians = fmod(static_cast<double>(roi[4]), 360.0) * (3.14159265358979323846 / 180);
  RotatedRoi<T> r;
  r.cx = roi[0] * scale - offset;
  r.cy = roi[1] * scale - offset;
  r.cos = static_cast<T>(::cos(radians));
  r.sin = static_cast<T>(::sin(radians));
  r.rows = make_bins(-h / 2, h, options.pooled_height, options.sampling_ratio);
  r.columns = make_bins(-w / 2, w, options.pooled_width, options.sampling_ratio);
  const T finite = (r.cx - r.cx) + (r.cy - r.cy) + (r.cos - r.cos) + (w - w) + (h - h);
  if (!(finite == 0 && w >= 0 && h >= 0)) r.rows.count = 0, r.columns.count = 0;
  const T samples = static_cast<T>(r.rows.count) * static_cast<T>(r.columns.count);
  r.per_sample = 1 / (samples < 1 ? T(1) : samples);
  return r;
}

// A circle about the image's centre that holds all that can be sampled.
template <typename T>
FASTCV_HD T image_radius(int height, int width) {
  const T h = static_cast<T>(height + 2), w = static_cast<T>(width + 2);
  return static_cast<T>(::sqrt(static_cast<double>(h) * h + static_cast<double>(w) * w)) / 2 + 1;
}

}  // namespace fastcv
