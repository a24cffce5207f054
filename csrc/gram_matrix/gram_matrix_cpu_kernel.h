// Panels of 16 channels, packed pixel after pixel, and the products of two of them: a tile of
// 16 x 16 sums.
#include "common/cpu/bfloat16_pairs.h"

namespace fastcv::FASTCV_ISA {

// to[k * 16 + c] for `count` pixels; channels that do not exist become 0.
template <typename T, typename Acc>
void pack_panel(const T* from, int64_t channel_stride, int64_t pixel_stride, int channels,
                int64_t count, Acc* to) {
  constexpr int step = lanes<Acc>;
  int64_t k = 0;
  if (channels == block_channels && pixel_stride == 1) {
    // A vector of channels at a time, not 16: where they are a power of two apart, they compete for
    // the same 8 places in the L1 cache.
    for (int c = 0; c < block_channels; c += step) {
      for (k = 0; k + step <= count; k += step) {
        vec<Acc> rows[step];
        for (int r = 0; r < step; ++r) rows[r] = load<Acc>(from + (c + r) * channel_stride + k);
        transpose(rows);
        for (int r = 0; r < step; ++r) store<Acc>(to + (k + r) * block_channels + c, rows[r]);
      }
    }
  } else if (channels == block_channels && channel_stride == 1) {
    for (; k < count; ++k) {
      for (int c = 0; c < block_channels; c += step) {
        store<Acc>(to + k * block_channels + c, load<Acc>(from + k * pixel_stride + c));
      }
    }
  }
  for (; k < count; ++k) {
    for (int c = 0; c < block_channels; ++c) {
      to[k * block_channels + c] =
          c < channels ? static_cast<Acc>(from[c * channel_stride + k * pixel_stride]) : Acc(0);
    }
  }
}

// tile[r * 16 + j] += sum over k of a[k * 16 + r] * b[k * 16 + j] for r < rows: all of it in
// registers.
template <int rows, int width, typename Acc>
inline void multiply_rows(const Acc* a, const Acc* b, int64_t count, Acc* tile) {
  vec<Acc> sum[rows][width] = {};  // added in the end: short sums of short sums lose little
  for (int64_t k = 0; k < count; ++k, a += block_channels, b += block_channels) {
    vec<Acc> row[width];
    for (int j = 0; j < width; ++j) row[j] = load<Acc>(b + j * lanes<Acc>);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const vec<Acc> factor = broadcast(a[r]);
#pragma GCC unroll 4
      for (int j = 0; j < width; ++j) sum[r][j] = madd(factor, row[j], sum[r][j]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < width; ++j) {
      Acc* out = tile + r * block_channels + j * lanes<Acc>;
      store<Acc>(out, load<Acc>(out) + sum[r][j]);
    }
  }
}

// As many rows at a time as the registers hold.
template <typename Acc>
void multiply_panels(const Acc* a, const Acc* b, int64_t count, Acc* tile) {
  constexpr int width = block_channels / lanes<Acc>;
  if constexpr (width == 1) {
    multiply_rows<16, 1>(a, b, count, tile);
  } else if constexpr (width == 2) {
    multiply_rows<6, 2>(a, b, count, tile);
    multiply_rows<5, 2>(a + 6, b, count, tile + 6 * block_channels);
    multiply_rows<5, 2>(a + 11, b, count, tile + 11 * block_channels);
  } else {
    for (int r = 0; r < block_channels; r += 2) {
      multiply_rows<2, width>(a + r, b, count, tile + r * block_channels);
    }
  }
}

#if FASTCV_VECTOR_BYTES == 64
// multiply_panels of words of two pixels, as pair_rows() leaves them.
inline void multiply_pairs(const float* a, const float* b, int64_t pairs, float* tile) {
  vec<float> sum[block_channels][1];
  add_pairs<block_channels, 1>(pairs, a, 1, block_channels, b, block_channels, sum);
  for (int r = 0; r < block_channels; ++r, tile += block_channels) {
    store<float>(tile, load<float>(tile) + sum[r][0]);
  }
}
#endif

// A panel by itself: at least the lower triangle of the tile.
template <typename Acc>
void square_panel(const Acc* a, int64_t count, Acc* tile) {
  if constexpr (lanes<Acc> == 8) {
    multiply_rows<8, 1>(a, a, count, tile);
    multiply_rows<4, 2>(a + 8, a, count, tile + 8 * block_channels);
    multiply_rows<4, 2>(a + 12, a, count, tile + 12 * block_channels);
  } else {
    multiply_panels(a, a, count, tile);
  }
}

}  // namespace fastcv::FASTCV_ISA
