// The windows of one RoI, for host and device.
#pragma once

#include "common/roi/roi_windows.h"

namespace fastcv {

template <typename T>
struct PooledRoi {
  Windows<T> rows, columns;
};

// `corners` are x1, y1, x2, y2.
template <typename T>
FASTCV_HD PooledRoi<T> pooled_roi(const T* corners, double spatial_scale, int pooled_height,
                                  int pooled_width) {
  const T scale = static_cast<T>(spatial_scale);
  return {make_windows(corners[1], corners[3], scale, pooled_height, 1),
          make_windows(corners[0], corners[2], scale, pooled_width, 1)};
}

}  // namespace fastcv
