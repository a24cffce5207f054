// Where a pixel reads a small mask that is stretched over a picture: for both devices.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

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
