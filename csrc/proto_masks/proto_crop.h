// Which samples of the prototypes a box lets through: for both devices.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

// Samples; none where a range is empty.
struct ProtoCrop {
  int32_t left, top, right, bottom;

  FASTCV_HD bool holds(int32_t x, int32_t y) const {
    return x >= left && x < right && y >= top && y < bottom;
  }
};

// Samples of a row of the prototypes for a pixel of the picture.
template <typename Acc>
Acc samples_per_pixel(int64_t samples, int64_t pixels) {
  return static_cast<Acc>(static_cast<double>(samples) / static_cast<double>(pixels));
}

// The first of `count` whole numbers from 0 that is not below x, which is no NaN.
template <typename Acc>
FASTCV_HD int32_t first_from(Acc x, int32_t count) {
  if (x <= 0) return 0;
  if (x > static_cast<Acc>(count)) return count;
  const auto below = static_cast<int32_t>(x);
  return below + (static_cast<Acc>(below) < x ? 1 : 0);
}

// Of height x width samples; rows and columns of the picture have so many samples each.
template <typename Acc>
FASTCV_HD ProtoCrop proto_crop(const Acc* box, Acc per_row, Acc per_column, int32_t height,
                               int32_t width) {
  for (int i = 0; i < 4; ++i) {
    if (box[i] != box[i]) return {0, 0, 0, 0};
  }
  return {first_from(box[0] * per_column - 1, width), first_from(box[1] * per_row - 1, height),
          first_from(box[2] * per_column + 1, width), first_from(box[3] * per_row + 1, height)};
}

}  // namespace fastcv
