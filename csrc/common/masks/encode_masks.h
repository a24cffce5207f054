// COCO's run lengths of stretched masks, without masks of the picture's size.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/masks/coco_runs.h"

namespace fastcv {

// The pixels of neighbouring columns in one row, as bytes and eight at a time.
constexpr int64_t columns_at_once = 64;
using RowOfBytes = std::array<uint8_t, columns_at_once>;
using RowOfWords = std::array<uint64_t, columns_at_once / 8>;

template <typename Mask, typename Acc>
std::string encode_mask(Mask& mask, int64_t height, int64_t width, Acc threshold) {
  CocoRuns runs;
  std::array<std::vector<int64_t>, columns_at_once> changes;  // rows, by column
  for (int64_t begin = mask.left; begin < mask.right && !mask.empty(); begin += columns_at_once) {
    const int64_t n = std::min(columns_at_once, mask.right - begin);
    mask.stretch(begin, n);
    RowOfWords above{};
    const auto compare_with_above = [&](int64_t y, const RowOfBytes& pixels) {
      const auto here = std::bit_cast<RowOfWords>(pixels);
      for (size_t word = 0; word < here.size(); ++word) {
        // The lowest byte is the first column.
        for (uint64_t other = here[word] ^ above[word]; other != 0; other &= other - 1) {
          changes[8 * word + std::countr_zero(other) / 8].push_back(y);
        }
      }
      above = here;
    };
    RowOfBytes pixels{};
    for (int64_t y = mask.top; y < mask.bottom; ++y) {
      mask.row(y, threshold, pixels.data());
      compare_with_above(y, pixels);
    }
    compare_with_above(mask.bottom, RowOfBytes{});
    for (int64_t column = 0; column < n; ++column) {
      for (const int64_t y : changes[column]) runs.change_at((begin + column) * height + y);
      changes[column].clear();
    }
  }
  return runs.counts(height * width);
}

// The counts of `count` masks; place(mask, i) places one.
template <typename Mask, typename Acc, typename Place>
std::vector<std::string> encode_masks(int64_t count, int64_t height, int64_t width, Acc threshold,
                                      const Place& place) {
  std::vector<std::string> counts(count);
  at::parallel_for(0, count, 1, [&](int64_t first, int64_t last) {
    Mask mask;
    for (int64_t i = first; i < last; ++i) {
      place(mask, i);
      counts[i] = encode_mask(mask, height, width, threshold);
    }
  });
  return counts;
}

// All counts, one after the other, and where those of each mask end.
inline std::tuple<at::Tensor, at::Tensor> counts_and_ends(const std::vector<std::string>& all) {
  const auto count = static_cast<int64_t>(all.size());
  const at::Tensor ends = at::empty({count}, at::kLong);
  int64_t bytes = 0;
  for (int64_t i = 0; i < count; ++i) {
    bytes += static_cast<int64_t>(all[i].size());
    ends.mutable_data_ptr<int64_t>()[i] = bytes;
  }
  const at::Tensor counts = at::empty({bytes}, at::kByte);
  auto* out = counts.mutable_data_ptr<uint8_t>();
  for (const std::string& text : all) out = std::copy(text.begin(), text.end(), out);
  return {counts, ends};
}

}  // namespace fastcv
