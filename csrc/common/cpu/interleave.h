// Included by foreach_isa.h, once per instruction set: between NCHW and blocks of 16 channels that
// lie side by side, pixel after pixel.
namespace fastcv::FASTCV_ISA {

inline constexpr int block_channels = 16;

// dst[i * 16 + c] = src[c * channel_stride + i]; channels that do not exist become 0.
template <typename T, typename Acc>
void interleave(const T* src, int64_t channel_stride, int channels, int64_t n, Acc* dst) {
  constexpr int step = lanes<Acc>;
  int64_t i = 0;
  for (; i + step <= n; i += step) {
    for (int c = 0; c < block_channels; c += step) {
      vec<Acc> rows[step] = {};
      const int there = channels - c < step ? channels - c : step;
      for (int k = 0; k < there; ++k) rows[k] = load<Acc>(src + (c + k) * channel_stride + i);
      transpose(rows);
      for (int k = 0; k < step; ++k) store<Acc>(dst + (i + k) * block_channels + c, rows[k]);
    }
  }
  for (; i < n; ++i) {
    for (int c = 0; c < block_channels; ++c) {
      dst[i * block_channels + c] =
          c < channels ? static_cast<Acc>(src[c * channel_stride + i]) : Acc(0);
    }
  }
}

// The way back: dst[c * channel_stride + i] = src[i * 16 + c] for the channels that exist.
template <typename T, typename Acc>
void deinterleave(const Acc* src, int64_t n, int channels, int64_t channel_stride, T* dst) {
  constexpr int step = lanes<Acc>;
  int64_t i = 0;
  for (; i + step <= n; i += step) {
    for (int c = 0; c < channels; c += step) {
      vec<Acc> columns[step];
      for (int k = 0; k < step; ++k) columns[k] = load<Acc>(src + (i + k) * block_channels + c);
      transpose(columns);
      const int there = channels - c < step ? channels - c : step;
      for (int k = 0; k < there; ++k) store<Acc>(dst + (c + k) * channel_stride + i, columns[k]);
    }
  }
  for (; i < n; ++i) {
    for (int c = 0; c < channels; ++c) {
      dst[c * channel_stride + i] = static_cast<T>(src[i * block_channels + c]);
    }
  }
}

template <typename T, typename Acc>
void widen(const T* src, int64_t n, Acc* dst) {
  int64_t i = 0;
  if constexpr (std::is_same_v<T, c10::Half> || std::is_same_v<T, c10::BFloat16>) {
    if constexpr (std::is_same_v<Acc, float>) {
      for (; i + lanes<Acc> <= n; i += lanes<Acc>) store<Acc>(dst + i, load<Acc>(src + i));
    }
  }
  for (; i < n; ++i) dst[i] = static_cast<Acc>(src[i]);
}

template <typename T, typename Acc>
void round_to(const Acc* src, int64_t n, T* dst) {
  int64_t i = 0;
  for (; i + lanes<Acc> <= n; i += lanes<Acc>) store<Acc>(dst + i, load<Acc>(src + i));
  for (; i < n; ++i) dst[i] = static_cast<T>(src[i]);
}

}  // namespace fastcv::FASTCV_ISA
