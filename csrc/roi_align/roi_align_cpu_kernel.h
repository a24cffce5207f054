// Pools and scatters one RoI, all bins, for a block of channels that lie side by side in memory:
// channels_last as it is, NCHW after interleave() of common/cpu/interleave.h.
namespace fastcv::FASTCV_ISA {

// One bin for n vectors of channels.
template <int n, typename Acc, typename In>
inline void pool_bin(const In* pixels, int64_t row_stride, int64_t pixel_stride,
                     const Tap<Acc>* row, const Tap<Acc>* row_end, const Tap<Acc>* column,
                     const Tap<Acc>* column_end, vec<Acc>* sum) {
  for (; row != row_end; ++row) {
    const In* line = pixels + row->pixel * row_stride;
    vec<Acc> inner[n] = {};
    for (const Tap<Acc>* c = column; c != column_end; ++c) {
      const In* p = line + c->pixel * pixel_stride;
      const vec<Acc> weight = broadcast(c->weight);
      for (int j = 0; j < n; ++j) {
        inner[j] = madd(weight, load<Acc>(p + j * lanes<Acc>), inner[j]);
      }
    }
    const vec<Acc> weight = broadcast(row->weight);
    for (int j = 0; j < n; ++j) sum[j] = madd(weight, inner[j], sum[j]);
  }
}

// Asks for the pixels of a bin, `bytes` of channels each.
template <typename Acc, typename In>
inline void prefetch_bin(const In* pixels, int64_t row_stride, int64_t pixel_stride,
                         const RoiTaps<Acc>& roi, int ph, int pw, int64_t bytes) {
  for (const Tap<Acc>* row = roi.row(ph); row != roi.row(ph + 1); ++row) {
    for (const Tap<Acc>* column = roi.column(pw); column != roi.column(pw + 1); ++column) {
      const In* p = pixels + row->pixel * row_stride + column->pixel * pixel_stride;
      for (int64_t b = 0; b < bytes; b += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(p) + b);
      }
    }
  }
}

// n vectors of channels at a time, from channel c on; returns where that ends. Meanwhile the same
// channels of the next bin come into the cache.
template <int n, typename Acc, typename In, typename Out>
inline int64_t pool_channels(const In* pixels, int64_t row_stride, int64_t pixel_stride, int64_t c,
                             int64_t channels, const RoiTaps<Acc>& roi, int ph, int pw, int next_ph,
                             int next_pw, Out* out) {
  constexpr int64_t step = n * lanes<Acc>;
  const vec<Acc> scale = broadcast(roi.per_sample);
  for (; c + step <= channels; c += step) {
    prefetch_bin(pixels + c, row_stride, pixel_stride, roi, next_ph, next_pw,
                 step * int64_t{sizeof(In)});
    vec<Acc> sum[n] = {};
    pool_bin<n>(pixels + c, row_stride, pixel_stride, roi.row(ph), roi.row(ph + 1), roi.column(pw),
                roi.column(pw + 1), sum);
    for (int j = 0; j < n; ++j) store<Acc>(out + c + j * lanes<Acc>, sum[j] * scale);
  }
  return c;
}

// Bins of `channels` channels, a multiple of lanes<Acc>, into out + bin * out_stride.
template <typename Acc, typename In, typename Out>
void pool_roi(const In* pixels, int64_t row_stride, int64_t pixel_stride, int64_t channels,
              const RoiTaps<Acc>& roi, int pooled_height, int pooled_width, Out* out,
              int64_t out_stride) {
  for (int ph = 0; ph < pooled_height; ++ph) {
    for (int pw = 0; pw < pooled_width; ++pw, out += out_stride) {
      const bool last = pw + 1 == pooled_width;
      const int next_ph = last ? std::min(ph + 1, pooled_height - 1) : ph;
      const int next_pw = last ? 0 : pw + 1;
      const auto pool = [&]<int n>(std::integral_constant<int, n>, int64_t c) {
        return pool_channels<n>(pixels, row_stride, pixel_stride, c, channels, roi, ph, pw, next_ph,
                                next_pw, out);
      };
      int64_t c = pool(std::integral_constant<int, 8>(), 0);
      c = pool(std::integral_constant<int, 2>(), c);
      pool(std::integral_constant<int, 1>(), c);
    }
  }
}

// Adds what one bin gives to a line of pixels, for n vectors of channels.
template <int n, typename Acc, typename In>
inline void scatter_bin(const In* grad, const Tap<Acc>* column, const Tap<Acc>* column_end,
                        Acc row_weight, Acc* line, int64_t pixel_stride) {
  vec<Acc> g[n];
  for (int j = 0; j < n; ++j) g[j] = load<Acc>(grad + j * lanes<Acc>);
  for (; column != column_end; ++column) {
    const Acc w = row_weight * column->weight;
    if (w == 0) continue;  // a pixel that gave nothing gets nothing, not even a NaN
    const vec<Acc> weight = broadcast(w);
    Acc* p = line + column->pixel * pixel_stride;
    for (int j = 0; j < n; ++j, p += lanes<Acc>) store<Acc>(p, madd(weight, g[j], load<Acc>(p)));
  }
}

// Adds what the bins of `channels` channels, a multiple of lanes<Acc>, give to the rows [top,
// bottom) of the image; `pixels` begins at row `top`.
template <typename Acc, typename In>
void scatter_roi(const In* grad, int64_t grad_stride, int64_t channels, const RoiTaps<Acc>& roi,
                 int pooled_height, int pooled_width, int32_t top, int32_t bottom, Acc* pixels,
                 int64_t row_stride, int64_t pixel_stride) {
  for (int ph = 0; ph < pooled_height; ++ph) {
    for (const Tap<Acc>*row = roi.row(ph), *row_end = roi.row(ph + 1); row != row_end; ++row) {
      if (row->pixel < top || row->pixel >= bottom) continue;
      Acc* line = pixels + (row->pixel - top) * row_stride;
      const Acc row_weight = row->weight * roi.per_sample;
      for (int pw = 0; pw < pooled_width; ++pw) {
        const In* g = grad + (ph * pooled_width + pw) * grad_stride;
        const Tap<Acc>*column = roi.column(pw), *column_end = roi.column(pw + 1);
        int64_t c = 0;
        for (; c + 4 * lanes<Acc> <= channels; c += 4 * lanes<Acc>) {
          scatter_bin<4>(g + c, column, column_end, row_weight, line + c, pixel_stride);
        }
        for (; c + 2 * lanes<Acc> <= channels; c += 2 * lanes<Acc>) {
          scatter_bin<2>(g + c, column, column_end, row_weight, line + c, pixel_stride);
        }
        for (; c < channels; c += lanes<Acc>) {
          scatter_bin<1>(g + c, column, column_end, row_weight, line + c, pixel_stride);
        }
      }
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
