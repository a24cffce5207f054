// Boxes and their overlap, for host and device. Plain arithmetic without branches where a loop over
// lanes should vectorise. Host and device round alike, for nothing here is fused.
#pragma once

#include <cmath>
#include <limits>

#include "common/host/host_device.h"

namespace fastcv {

// The largest T that is not above `threshold`. An IoU of type T exceeds the one if and only if it
// exceeds the other, so that comparing in T decides as comparing in double does.
template <typename T>
T round_down(double threshold) {
  const T rounded = static_cast<T>(threshold);
  return static_cast<double>(rounded) > threshold
             ? std::nextafter(rounded, -std::numeric_limits<T>::infinity())
             : rounded;
}

template <typename T>
struct Box {
  T x1, y1, x2, y2;
};

template <typename T>
FASTCV_HD T area(const Box<T>& b) {
  return (b.x2 - b.x1) * (b.y2 - b.y1);
}

// The comparisons are those of std::max(kept, box) and std::min(kept, box): they decide where NaN
// coordinates fall, and so agree with torchvision.
template <typename T>
FASTCV_HD T intersection(const Box<T>& kept, const Box<T>& b) {
  const T left = kept.x1 < b.x1 ? b.x1 : kept.x1;
  const T top = kept.y1 < b.y1 ? b.y1 : kept.y1;
  const T right = b.x2 < kept.x2 ? b.x2 : kept.x2;
  const T bottom = b.y2 < kept.y2 ? b.y2 : kept.y2;
  const T w = T(0) < right - left ? right - left : T(0);
  const T h = T(0) < bottom - top ? bottom - top : T(0);
  return w * h;
}

}  // namespace fastcv
