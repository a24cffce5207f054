// Division of whole numbers, rounded up, for host and device.
#pragma once

#include "common/host/host_device.h"

namespace fastcv {

// How many pieces of `size` hold n >= 0. In the type that n + size has.
template <typename N, typename Size>
FASTCV_HD constexpr auto ceil_div(N n, Size size) {
  return (n + size - 1) / size;
}

// The first multiple of `step` from n >= 0 on.
template <typename N, typename Step>
FASTCV_HD constexpr auto round_up(N n, Step step) {
  return ceil_div(n, step) * step;
}

}  // namespace fastcv
