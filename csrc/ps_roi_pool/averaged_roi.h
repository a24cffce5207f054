// The windows of one RoI, for host and device.
#pragma once

#include "common/roi/roi_windows.h"

namespace fastcv {

// The map's last row and column are left out.
template <typename T>
struct AveragedAxis : Windows<T> {
  FASTCV_HD Range window(int bin, int size) const {
    return Windows<T>::window(bin, size > 0 ? size - 1 : 0);
  }
};

template <typename T>
struct AveragedRoi {
  AveragedAxis<T> rows, columns;
  T per_sample;  // 1: a window's pixels weigh 1 / their number
};

// `corners` are x1, y1, x2, y2.
template <typename T>
FASTCV_HD AveragedRoi<T> averaged_roi(const T* corners, double spatial_scale, int pooled_height,
                                      int pooled_width) {
  const T scale = static_cast<T>(spatial_scale);
  return {{make_windows(corners[1], corners[3], scale, pooled_height, 0)},
          {make_windows(corners[0], corners[2], scale, pooled_width, 0)},
          1};
}

}  // namespace fastcv
