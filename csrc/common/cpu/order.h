// Orders by key on the CPU: stable radix sorts of 32-bit indices, for up to 2^32 - 1 elements.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include "common/cpu/buffer.h"
#include "common/host/ceil_div.h"

namespace fastcv {

// Keys whose ascending order is torch.sort(descending=True)'s: NaN first, -0 equal to +0.
inline uint32_t descending_key(float score) {
  if (std::isnan(score)) return 0;
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);  // -0 + 0 is +0
  return bits >> 31 ? bits : ~(bits | 0x80000000u);
}
inline uint64_t descending_key(double score) {
  if (std::isnan(score)) return 0;
  const uint64_t bits = std::bit_cast<uint64_t>(score + 0.0);
  return bits >> 63 ? bits : ~(bits | uint64_t{1} << 63);
}
inline uint64_t ascending_key(int64_t value) {
  return static_cast<uint64_t>(value) ^ uint64_t { 1 } << 63;
}

// The indices 0..n-1 sorted by key_of(index), ascending and stable.
template <typename KeyOf>
Buffer<uint32_t> stable_order(int64_t n, KeyOf key_of) {
  using Key = std::invoke_result_t<KeyOf, int64_t>;
  struct Entry {
    Key key;
    uint32_t index;
  };
  Buffer<Entry> entries = make_buffer<Entry>(n);
  Buffer<uint32_t> order = make_buffer<uint32_t>(n);
  const auto write_order = [&] {
    for (int64_t i = 0; i < n; ++i) order[i] = entries[i].index;
  };

  if (n <= 512) {  // where the histograms below would cost more than the sort
    for (int64_t i = 0; i < n; ++i) entries[i] = {key_of(i), static_cast<uint32_t>(i)};
    std::sort(entries.get(), entries.get() + n, [](const Entry& a, const Entry& b) {
      return a.key != b.key ? a.key < b.key : a.index < b.index;
    });
    write_order();
    return order;
  }

  constexpr int bits = 11;
  constexpr int digits = 1 << bits;
  constexpr int passes = ceil_div(8 * sizeof(Key), bits);
  const auto digit = [](Key key, int pass) { return (key >> (pass * bits)) & (digits - 1); };
  const auto counts = std::make_unique<uint32_t[]>(passes * digits);
  for (int64_t i = 0; i < n; ++i) {
    const Key key = key_of(i);
    entries[i] = {key, static_cast<uint32_t>(i)};
    for (int p = 0; p < passes; ++p) ++counts[p * digits + digit(key, p)];
  }
  Buffer<Entry> sorted = make_buffer<Entry>(n);
  for (int p = 0; p < passes; ++p) {
    uint32_t* count = counts.get() + p * digits;
    if (count[digit(entries[0].key, p)] == n) continue;  // all keys share this digit
    uint32_t start = 0;
    for (int d = 0; d < digits; ++d) start += std::exchange(count[d], start);
    for (int64_t i = 0; i < n; ++i) sorted[count[digit(entries[i].key, p)]++] = entries[i];
    std::swap(entries, sorted);
  }
  write_order();
  return order;
}

}  // namespace fastcv
