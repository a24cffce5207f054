// What is drawn for each word of the text, for host and device: from counters, so that a word's
// draws depend on (seed, position) alone.
#pragma once

#include <cstdint>

#include "common/host/host_device.h"

namespace fastcv {

// The finaliser of SplitMix64: every bit of x changes half of the bits that come out.
FASTCV_HD uint64_t sgns_mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

struct SgnsText {
  const int64_t* words;
  int64_t count;
  const float* keep;
  const int32_t* noise;
  int64_t vocabulary, window, negative;
  uint64_t seed, position;  // the seed is mixed already

  // Number `slot` of word n's draws: 0 whether it is kept, 1 its window, 2 and on its negatives.
  FASTCV_HD uint64_t draw(int64_t n, uint64_t slot) const {
    const uint64_t of_word = sgns_mix(seed + position + static_cast<uint64_t>(n));
    return sgns_mix(of_word + (slot + 1) * 0x9e3779b97f4a7c15u);
  }

  FASTCV_HD bool is_word(int64_t n) const { return words[n] >= 0 && words[n] < vocabulary; }

  FASTCV_HD bool is_kept(int64_t n) const {
    return static_cast<float>(draw(n, 0) >> 40) * 0x1p-24f < keep[words[n]];
  }

  FASTCV_HD int64_t window_of(int64_t n) const {
    return 1 + static_cast<int64_t>((draw(n, 1) >> 32) * static_cast<uint64_t>(window) >> 32);
  }

  // Negative k of word n's neighbour `place` (0 to 2 * window - 1). The table may hold any number.
  FASTCV_HD int64_t negative_of(int64_t n, int64_t place, int64_t k) const {
    const uint64_t drawn = draw(n, 2 + static_cast<uint64_t>(place * negative + k));
    const uint64_t row = (drawn >> 32) * static_cast<uint64_t>(vocabulary) >> 32;
    const auto share = static_cast<int32_t>(drawn & 0x7fffffffu);
    return share < noise[2 * row] ? static_cast<int64_t>(row) : noise[2 * row + 1];
  }

  // The most pairs that one centre can have.
  FASTCV_HD int64_t most_pairs() const { return 2 * window * (1 + negative); }
};

}  // namespace fastcv
