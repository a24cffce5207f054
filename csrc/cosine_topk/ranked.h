// What comes first in a ranking, for host and device.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

// The higher score, then the lower index; NaN after all else.
template <typename T>
FASTCV_HD bool ranks_before(T a, int64_t a_index, T b, int64_t b_index) {
  const bool a_is_nan = a != a, b_is_nan = b != b;
  if (a_is_nan != b_is_nan) return b_is_nan;
  if (!a_is_nan && a != b) return a > b;
  return a_index < b_index;
}

}  // namespace fastcv
