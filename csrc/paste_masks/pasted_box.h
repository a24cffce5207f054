// Where a mask comes to lie in a picture: for both devices.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

// Pixels of the picture, or beyond it; none where width or height is not above 0.
struct PastedBox {
  int32_t left, top, width, height;
};

// How much longer a border makes the sides of a mask.
template <typename Acc>
Acc mask_growth(int64_t side) {
  return static_cast<Acc>(static_cast<double>(side + 2) / static_cast<double>(side));
}

// The pixels that a mask with its border covers.
template <typename Acc>
FASTCV_HD PastedBox pasted_box(const Acc* box, Acc growth) {
  constexpr Acc limit = 1 << 29;
  const Acc half_width = (box[2] - box[0]) * Acc(0.5) * growth;
  const Acc half_height = (box[3] - box[1]) * Acc(0.5) * growth;
  const Acc x = (box[2] + box[0]) * Acc(0.5), y = (box[3] + box[1]) * Acc(0.5);
  const Acc corners[4] = {x - half_width, y - half_height, x + half_width, y + half_height};
  for (const Acc corner : corners) {
    if (!(corner >= -limit && corner <= limit)) return {0, 0, 0, 0};  // NaN as well
  }
  const auto left = static_cast<int32_t>(corners[0]), top = static_cast<int32_t>(corners[1]);
  return {left, top, static_cast<int32_t>(corners[2]) - left + 1,
          static_cast<int32_t>(corners[3]) - top + 1};
}

}  // namespace fastcv
