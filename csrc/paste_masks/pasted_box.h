// Where a mask comes to lie in a picture, and where a pixel reads it: for both devices.
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

// The two samples that a pixel lies between, and their weights.
template <typename Acc>
struct MaskTap {
  int32_t low, high;
  Acc low_weight, high_weight;
};

// Of pixel i, where `side` samples are stretched over side / ratio pixels.
template <typename Acc>
FASTCV_HD MaskTap<Acc> mask_tap(int32_t i, int32_t side, Acc ratio) {
  Acc at = ratio * (static_cast<Acc>(i) + Acc(0.5)) - Acc(0.5);
  if (at < 0) at = 0;
  int32_t low = static_cast<int32_t>(at);
  if (low > side - 1) low = side - 1;
  Acc high_weight = at - static_cast<Acc>(low);
  if (high_weight > 1) high_weight = 1;
  return {low, low < side - 1 ? low + 1 : low, 1 - high_weight, high_weight};
}

}  // namespace fastcv
