// The bins of one RoI, for host and device.
#pragma once

#include "common/roi/roi_sampling.h"

namespace fastcv {

struct RoiAlignOptions {
  double spatial_scale;
  int pooled_height, pooled_width;
  int sampling_ratio;
  bool aligned;
};

template <typename T>
struct AlignedRoi {
  Bins<T> rows, columns;
  T per_sample;  // 1 / samples in a bin
};

// `corners` are x1, y1, x2, y2.
template <typename T>
FASTCV_HD AlignedRoi<T> aligned_roi(const T* corners, const RoiAlignOptions& options) {
  const T scale = static_cast<T>(options.spatial_scale);
  const T offset = options.aligned ? T(0.5) : T(0);
  const T left = corners[0] * scale - offset, top = corners[1] * scale - offset;
  T width = corners[2] * scale - offset - left, height = corners[3] * scale - offset - top;
  if (!options.aligned) {  // at least a pixel
    width = width < 1 ? T(1) : width;
    height = height < 1 ? T(1) : height;
  }
  AlignedRoi<T> roi;
  roi.rows = make_bins(top, height, options.pooled_height, options.sampling_ratio);
  roi.columns = make_bins(left, width, options.pooled_width, options.sampling_ratio);
  const T samples = static_cast<T>(roi.rows.count) * static_cast<T>(roi.columns.count);
  roi.per_sample = 1 / (samples < 1 ? T(1) : samples);
  return roi;
}

}  // namespace fastcv
