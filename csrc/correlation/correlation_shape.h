// Sizes of a cost volume, for host and device.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

struct CorrelationShape {
  int64_t batch, channels, height, width, radius;

  // Of displacements along one axis.
  FASTCV_HD int64_t side() const { return 2 * radius + 1; }
  FASTCV_HD int64_t displacements() const { return side() * side(); }
  FASTCV_HD int64_t pixels() const { return height * width; }
};

}  // namespace fastcv
