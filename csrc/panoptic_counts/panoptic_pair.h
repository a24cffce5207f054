// Two ids as one number, for host and device.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

FASTCV_HD uint64_t panoptic_pair(int64_t predicted, int64_t target) {
  return static_cast<uint64_t>(predicted) << 32 | static_cast<uint64_t>(target);
}

FASTCV_HD bool panoptic_ids_fit(int64_t predicted, int64_t target) {
  return static_cast<uint64_t>(predicted | target) >> 31 == 0;
}

// Where to look for it first in a table of 2^bits slots: Fibonacci hashing spreads ids that are
// near each other, or far apart by equal steps.
FASTCV_HD uint64_t panoptic_slot(uint64_t pair, int bits) {
  return (pair ^ pair >> 32) * 0x9e3779b97f4a7c15u >> (64 - bits);
}

}  // namespace fastcv
