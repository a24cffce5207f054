// Sizes of mel_spectrogram, and the steps of its Fourier transform. Torch-free: both devices' code
// takes it by value.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

struct MelPlan {
  int64_t samples, frames;  // of a sound
  int64_t hop, pad;
  int32_t window, filters;
  // Of an even window the transform is half as long: neighbours are one complex number.
  int32_t points;
  int32_t radices[16];  // their product is `points`
  int32_t steps;        // how many radices
  bool reflect, magnitude;
  double floor;

  FASTCV_HD int32_t bins() const { return window / 2 + 1; }
  FASTCV_HD bool is_halved() const { return window % 2 == 0; }

  // Which sample is at place i, that may be in the padding; -1 where it is a zero.
  FASTCV_HD int64_t sample_at(int64_t i) const {
    if (i >= 0 && i < samples) return i;
    if (!reflect) return -1;
    return i < 0 ? -i : 2 * (samples - 1) - i;
  }
};

// The discrete Fourier transform of r complex numbers (a, b), in place. V: a number or a vector.
template <int r, typename T, typename V>
FASTCV_HD void transform_few(V* a, V* b) {
  static_assert(r >= 2 && r <= 5);
  if constexpr (r == 2) {
    const V x = a[0] - a[1], y = b[0] - b[1];
    a[0] = a[0] + a[1], b[0] = b[0] + b[1];
    a[1] = x, b[1] = y;
  } else if constexpr (r == 3) {
    constexpr T half = T(0.5), sine = T(0.86602540378443864676);
    const V a_sum = a[1] + a[2], b_sum = b[1] + b[2];
    const V a_middle = a[0] - a_sum * half, b_middle = b[0] - b_sum * half;
    const V a_side = (b[1] - b[2]) * sine, b_side = (a[2] - a[1]) * sine;
    a[0] = a[0] + a_sum, b[0] = b[0] + b_sum;
    a[1] = a_middle + a_side, b[1] = b_middle + b_side;
    a[2] = a_middle - a_side, b[2] = b_middle - b_side;
  } else if constexpr (r == 4) {
    const V a_even = a[0] + a[2], b_even = b[0] + b[2], a_odd = a[1] + a[3], b_odd = b[1] + b[3];
    const V a_away = a[0] - a[2], b_away = b[0] - b[2];
    const V a_turned = b[1] - b[3], b_turned = a[3] - a[1];  // times -i
    a[0] = a_even + a_odd, b[0] = b_even + b_odd;
    a[1] = a_away + a_turned, b[1] = b_away + b_turned;
    a[2] = a_even - a_odd, b[2] = b_even - b_odd;
    a[3] = a_away - a_turned, b[3] = b_away - b_turned;
  } else {
    // cos and sin of 2 pi / 5 and 4 pi / 5
    constexpr T c1 = T(0.30901699437494742410), c2 = T(-0.80901699437494742410);
    constexpr T s1 = T(0.95105651629515357212), s2 = T(0.58778525229247312917);
    const V a1 = a[1] + a[4], b1 = b[1] + b[4], a2 = a[2] + a[3], b2 = b[2] + b[3];
    const V a3 = b[1] - b[4], b3 = a[4] - a[1], a4 = b[2] - b[3], b4 = a[3] - a[2];
    const V x1 = a[0] + a1 * c1 + a2 * c2, y1 = b[0] + b1 * c1 + b2 * c2;
    const V x2 = a[0] + a1 * c2 + a2 * c1, y2 = b[0] + b1 * c2 + b2 * c1;
    const V u1 = a3 * s1 + a4 * s2, v1 = b3 * s1 + b4 * s2;
    const V u2 = a3 * s2 - a4 * s1, v2 = b3 * s2 - b4 * s1;
    a[0] = a[0] + a1 + a2, b[0] = b[0] + b1 + b2;
    a[1] = x1 + u1, b[1] = y1 + v1;
    a[2] = x2 + u2, b[2] = y2 + v2;
    a[3] = x2 - u2, b[3] = y2 - v2;
    a[4] = x1 - u1, b[4] = y1 - v1;
  }
}

}  // namespace fastcv
