// What the CPU launcher, the all-pairs kernel and the grid share.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace fastcv {

template <typename T>
struct Box {
  T x1, y1, x2, y2;
};

// The largest T that is not above `threshold`. An IoU of type T exceeds the one if and only if it
// exceeds the other, so that comparing in T decides as comparing in double does.
template <typename T>
T round_down(double threshold) {
  const T rounded = static_cast<T>(threshold);
  return static_cast<double>(rounded) > threshold
             ? std::nextafter(rounded, -std::numeric_limits<T>::infinity())
             : rounded;
}

// Greedy NMS over boxes in order of falling score. Writes the ranks of the kept ones, in order, and
// returns how many. Boxes that cannot overlap enough are never compared; threshold >= 0.
template <typename T>
int64_t grid_nms(const Box<T>* boxes, int64_t n, T threshold, uint32_t* kept);

}  // namespace fastcv
