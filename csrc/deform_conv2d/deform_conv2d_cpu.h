// What the CPU's forward and backward share: the image as pixels of channels, tiles of output
// pixels, pieces of channels. Included after common/cpu/foreach_isa.h where `laid_out` is used.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "common/cpu/buffer.h"
#include "common/host/accumulate.h"
#include "common/host/bilinear_sample.h"
#include "common/host/ceil_div.h"
#include "common/host/memory_format.h"
#include "deform_conv2d/deform_shape.h"

namespace fastcv {

// The largest tile of the matrix product on any instruction set (common/cpu/matmul_tile.h).
inline constexpr int64_t max_tile_rows = 12, max_tile_columns = 32;
// Output pixels at a time, a multiple of every tile's rows; with 256 columns they are in the L2
// cache.
inline constexpr int64_t tile_pixels = 96;
inline constexpr int64_t chunk_columns = 256;
// Between rows of columns, so that they do not all fall onto the same lines of the L1 cache.
inline constexpr int64_t line_shift = 16;
inline constexpr int64_t image_bytes = int64_t{12} << 20;  // of the copy of images

// One image, from any channel on: channel c of pixel i is data[i * pixel_stride + c *
// channel_stride].
template <typename T>
struct PixelView {
  const T* data;
  int64_t pixel_stride, channel_stride;

  const T* at(int64_t pixel) const { return data + pixel * pixel_stride; }
  PixelView from_channel(int64_t c) const {
    return {data + c * channel_stride, pixel_stride, channel_stride};
  }
};

// Offsets and masks of one image.
template <typename T>
struct Positions {
  const T* offset;
  const T* mask;  // null: 1 everywhere
  int64_t offset_strides[3], mask_strides[3];

  Positions(const at::Tensor& offset, const std::optional<at::Tensor>& mask, int64_t image)
      : offset(offset.const_data_ptr<T>() + image * offset.stride(0)),
        mask(mask ? mask->const_data_ptr<T>() + image * mask->stride(0) : nullptr) {
    for (int i = 0; i < 3; ++i) {
      offset_strides[i] = offset.stride(i + 1);
      mask_strides[i] = mask ? mask->stride(i + 1) : 0;
    }
  }
};

// Calls f(p, y, x, mask) for `count` output pixels from `first` on: where a tap reads along each
// axis, for the channels of offset group `group`.
template <typename T, typename F>
void for_each_position(const DeformShape& s, const Positions<T>& positions, int group, int tap,
                       int64_t first, int count, F f) {
  using Acc = acc_t<T>;
  const int64_t channel = int64_t{group} * s.taps() + tap;
  const T* dy = positions.offset + 2 * channel * positions.offset_strides[0];
  const T* dx = dy + positions.offset_strides[0];
  const T* m = positions.mask + channel * positions.mask_strides[0];
  int y = static_cast<int>(first / s.out_width), x = static_cast<int>(first % s.out_width);
  for (int p = 0; p < count; ++p) {
    const int64_t at = y * positions.offset_strides[1] + x * positions.offset_strides[2];
    const Acc row = static_cast<Acc>(s.row_of(y, tap)) + static_cast<Acc>(dy[at]);
    const Acc column = static_cast<Acc>(s.column_of(x, tap)) + static_cast<Acc>(dx[at]);
    const Acc mask =
        positions.mask == nullptr
            ? Acc(1)
            : static_cast<Acc>(m[y * positions.mask_strides[1] + x * positions.mask_strides[2]]);
    f(p, axis_position(row, s.height), axis_position(column, s.width), mask);
    if (++x == s.out_width) x = 0, ++y;
  }
}

template <typename T>
void make_samples(const DeformShape& s, const Positions<T>& positions, int group, int tap,
                  int64_t first, int count, Sample<acc_t<T>>* samples) {
  for_each_position(s, positions, group, tap, first, count,
                    [&](int p, const auto& y, const auto& x, acc_t<T> mask) {
                      samples[p] = make_sample(y, x, s.width, mask);
                    });
}

// Columns of the matrix product that are gathered at once: channels [c, c_end) of a weight group,
// from tap t to t_end, tap by tap. Column 0 is column `first` of the group.
struct Chunk {
  int t, t_end;
  int64_t c, c_end, first;

  int64_t channels() const { return c_end - c; }
  int64_t columns() const { return (t_end - t) * channels(); }
};

inline std::vector<Chunk> chunks_of(const DeformShape& s, int64_t max_columns) {
  std::vector<Chunk> chunks;
  const int64_t channels = s.group_channels();
  if (channels == 0) return chunks;
  const int64_t wide = std::min(channels, max_columns);
  const int taps = static_cast<int>(std::max<int64_t>(1, max_columns / channels));
  for (int t = 0; t < s.taps(); t += taps) {
    for (int64_t c = 0; c < channels; c += wide) {
      chunks.push_back(
          {t, std::min(t + taps, s.taps()), c, std::min(c + wide, channels), t * channels + c});
    }
  }
  return chunks;
}

// Calls f(offset_group, c, c_end) for the parts of channels [c, c_end) that share offsets.
template <typename F>
void for_each_offset_group(const DeformShape& s, int64_t c, int64_t c_end, F f) {
  const int64_t of_group = s.offset_group_channels();
  while (c < c_end) {
    const int64_t end = std::min(c_end, (c / of_group + 1) * of_group);
    f(static_cast<int>(c / of_group), c, end);
    c = end;
  }
}

// Channels that share a weight group and offsets.
struct Piece {
  int group, offset_group;
  int64_t c, c_end;
};

// All channels, in pieces of at most `max_channels`.
inline std::vector<Piece> pieces_of(const DeformShape& s, int64_t max_channels) {
  std::vector<Piece> pieces;
  const int64_t wide = s.group_channels();
  for (int64_t c = 0; c < s.channels;) {
    const int64_t end = std::min({s.channels, (c / wide + 1) * wide, c + max_channels});
    for_each_offset_group(s, c, end, [&](int offset_group, int64_t begin, int64_t stop) {
      pieces.push_back({static_cast<int>(begin / wide), offset_group, begin, stop});
    });
    c = end;
  }
  return pieces;
}

}  // namespace fastcv
