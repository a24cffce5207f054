// Panels of 16 channels, packed pixel after pixel, and the products of two of them: a tile of
// 16 x 16 sums.
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
// Two pixels of bfloat16 to a word: words[k * 16 + c], from floats [pixels][16] that hold bfloat16.
// `pixels` is even.
inline void pair_pixels(int64_t pixels, float* panel) {
  for (int64_t k = 0; k < pixels; k += 2) {
    const int_vec even = (int_vec)load<float>(panel + k * block_channels);
    const int_vec odd = (int_vec)load<float>(panel + (k + 1) * block_channels);
    store<float>(panel + k / 2 * block_channels,
                 (vec<float>)((even >> 16 & 0xffff) | (odd & ~0xffff)));
  }
}

// multiply_panels of such words: AVX512_BF16 multiplies and adds two at once.
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2,avx512bf16")]]
inline void multiply_pairs(const float* a, const float* b, int64_t pairs, float* tile) {
  __m512 sum[block_channels] = {};
  for (int64_t k = 0; k < pairs; ++k, a += block_channels, b += block_channels) {
    const __m512bh row = (__m512bh)_mm512_loadu_si512(b);
#pragma GCC unroll 16
    for (int r = 0; r < block_channels; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + r, sizeof pair);
      sum[r] = _mm512_dpbf16_ps(sum[r], (__m512bh)_mm512_set1_epi32(pair), row);
    }
  }
  for (int r = 0; r < block_channels; ++r) {
    float* out = tile + r * block_channels;
    store<float>(out, load<float>(out) + (vec<float>)sum[r]);
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
