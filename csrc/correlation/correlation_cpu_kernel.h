// Rows of products: neighbouring pixels are a vector. A row of b is read at each shift of it; its
// `stride` is from channel to channel, as that of a.
namespace fastcv::FASTCV_ISA {

// sums[s][x] += sum over c of a[c][x] * b[c][x + s]; the sums stay in registers over the channels.
template <int vectors, int shifts, typename Acc>
inline void correlate_tile(const Acc* a, const Acc* b, int64_t stride, int64_t channels, Acc* sums,
                           int64_t sums_stride) {
  vec<Acc> sum[shifts][vectors];
  for (int s = 0; s < shifts; ++s) {
    for (int v = 0; v < vectors; ++v) {
      sum[s][v] = load<Acc>(sums + s * sums_stride + v * lanes<Acc>);
    }
  }
  for (int64_t c = 0; c < channels; ++c, a += stride, b += stride) {
    for (int v = 0; v < vectors; ++v) {
      const vec<Acc> x = load<Acc>(a + v * lanes<Acc>);
      for (int s = 0; s < shifts; ++s) {
        sum[s][v] = madd(x, load<Acc>(b + v * lanes<Acc> + s), sum[s][v]);
      }
    }
  }
  for (int s = 0; s < shifts; ++s) {
    for (int v = 0; v < vectors; ++v) {
      store<Acc>(sums + s * sums_stride + v * lanes<Acc>, sum[s][v]);
    }
  }
}

template <int shifts, typename Acc>
inline void correlate_shifts(const Acc* a, const Acc* b, int64_t stride, int64_t channels,
                             int64_t width, Acc* sums) {
  constexpr int wide = 4;
  int64_t x = 0;
  for (; x + wide * lanes<Acc> <= width; x += wide * lanes<Acc>) {
    correlate_tile<wide, shifts>(a + x, b + x, stride, channels, sums + x, width);
  }
  for (; x < width; x += lanes<Acc>) {
    correlate_tile<1, shifts>(a + x, b + x, stride, channels, sums + x, width);
  }
}

// sums [shifts, width]; `width` is a multiple of 16.
template <typename Acc>
void correlate_row(const Acc* a, const Acc* b, int64_t stride, int64_t channels, int64_t width,
                   int64_t shifts, Acc* sums) {
  int64_t s = 0;
  for (; s + 3 <= shifts; s += 3) {
    correlate_shifts<3>(a, b + s, stride, channels, width, sums + s * width);
  }
  for (; s < shifts; ++s) {
    correlate_shifts<1>(a, b + s, stride, channels, width, sums + s * width);
  }
}

// out[c][x] = sum over dy and s of grad[dy][s][x] * b[dy][c][x + s], of `channels` rows. `rows` is
// from dy to dy of b.
template <int vectors, int channels, typename Acc>
inline void gradient_tile(const Acc* grad, int64_t width, const Acc* b, int64_t rows,
                          int64_t stride, int64_t side, Acc* out) {
  vec<Acc> sum[channels][vectors] = {};
  for (int64_t dy = 0; dy < side; ++dy, b += rows) {
    for (int64_t s = 0; s < side; ++s, grad += width) {
      for (int v = 0; v < vectors; ++v) {
        const vec<Acc> g = load<Acc>(grad + v * lanes<Acc>);
        for (int c = 0; c < channels; ++c) {
          sum[c][v] = madd(g, load<Acc>(b + c * stride + v * lanes<Acc> + s), sum[c][v]);
        }
      }
    }
  }
  for (int c = 0; c < channels; ++c) {
    for (int v = 0; v < vectors; ++v) store<Acc>(out + c * width + v * lanes<Acc>, sum[c][v]);
  }
}

template <int vectors, typename Acc>
inline void gradient_columns(const Acc* grad, int64_t width, const Acc* b, int64_t rows,
                             int64_t stride, int64_t side, int64_t channels, Acc* out) {
  constexpr int at_once = 4;
  int64_t c = 0;
  for (; c + at_once <= channels; c += at_once) {
    gradient_tile<vectors, at_once>(grad, width, b + c * stride, rows, stride, side,
                                    out + c * width);
  }
  for (; c < channels; ++c) {
    gradient_tile<vectors, 1>(grad, width, b + c * stride, rows, stride, side, out + c * width);
  }
}

// grad [side, side, width], out [channels, width]; `width` is a multiple of 16. A few columns of
// grad stay in the cache for all channels.
template <typename Acc>
void gradient_row(const Acc* grad, int64_t width, const Acc* b, int64_t rows, int64_t stride,
                  int64_t side, int64_t channels, Acc* out) {
  constexpr int wide = 2;
  int64_t x = 0;
  for (; x + wide * lanes<Acc> <= width; x += wide * lanes<Acc>) {
    gradient_columns<wide>(grad + x, width, b + x, rows, stride, side, channels, out + x);
  }
  for (; x < width; x += lanes<Acc>) {
    gradient_columns<1>(grad + x, width, b + x, rows, stride, side, channels, out + x);
  }
}

// to[x] = from[x] * factor, rounded.
template <typename T, typename Acc>
void scale_row(const Acc* from, int64_t n, Acc factor, T* to) {
  int64_t x = 0;
  for (; x + lanes<Acc> <= n; x += lanes<Acc>) {
    store<Acc>(to + x, load<Acc>(from + x) * broadcast(factor));
  }
  for (; x < n; ++x) to[x] = static_cast<T>(from[x] * factor);
}

}  // namespace fastcv::FASTCV_ISA
