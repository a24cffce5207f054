// Where between the cells a bump has its top, for host and device.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

enum class PeakKind { gaussian, cauchy, quarter };

// What is a parabola along a line through a bump.
template <typename Acc>
FASTCV_HD Acc straightened(Acc value, Acc highest, bool cauchy) {
  const Acc least = highest * Acc(1e-6);
  const Acc above = value > least ? value : least;
  return cauchy ? -1 / above : std::log(above);
}

// Along a line of `length` cells whose highest one, `highest` above 0, is at `place`: at(i) is the
// value of cell i.
template <typename Acc, typename At>
FASTCV_HD Acc top_of_bump(int32_t place, int32_t length, Acc highest, PeakKind kind, At at) {
  const Acc here = static_cast<Acc>(place);
  if (kind == PeakKind::quarter) {
    const Acc below = place > 0 ? at(place - 1) : highest;
    const Acc above = place < length - 1 ? at(place + 1) : highest;
    return here + (above > below ? Acc(0.25) : Acc(-0.25));
  }
  if (length < 3) return here;
  const int32_t middle = place < 1 ? 1 : place > length - 2 ? length - 2 : place;
  const bool cauchy = kind == PeakKind::cauchy;
  const Acc left = straightened<Acc>(at(middle - 1), highest, cauchy);
  const Acc centre = straightened<Acc>(at(middle), highest, cauchy);
  const Acc right = straightened<Acc>(at(middle + 1), highest, cauchy);
  const Acc bend = left - 2 * centre + right;
  if (!(bend < 0)) return here;
  const Acc top = static_cast<Acc>(middle) + (left - right) / (2 * bend);
  const Acc half = Acc(0.5);
  return top < here - half ? here - half : top > here + half ? here + half : top;
}

}  // namespace fastcv
