// A job is a tile of output pixels of one image: its depthwise output, all channels, is made in the
// cache and goes through the matrix product at once.
#include "common/cpu/bfloat16_pairs.h"
#include "common/cpu/matmul_tile.h"

namespace fastcv::FASTCV_ISA {

template <typename Acc>
SeparablePlan plan_separable(const SeparableShape& s, bool channels_last, int64_t threads) {
  const int64_t pixels = s.out_height * s.out_width;
  // A tile takes half of a 512 KiB cache; weights and outputs go through it, too.
  const int64_t unit = channels_last ? tile_rows : tile_columns<Acc>;
  const int64_t max_units =
      std::max<int64_t>(1, (256 << 10) / (unit * s.channels * int64_t{sizeof(Acc)}));
  SeparablePlan plan{};
  const int64_t min_tiles = ceil_div(pixels, std::min<int64_t>(max_units, 1024 / unit) * unit);
  const int64_t even = ceil_div(min_tiles, threads) * threads;  // as many for each thread
  plan.tile = ceil_div(ceil_div(pixels, even), unit) * unit;
  plan.tiles = ceil_div(pixels, plan.tile);
  plan.packed = channels_last
                    ? ceil_div(s.out_channels, tile_columns<Acc>) * tile_columns<Acc> * s.channels
                    : ceil_div(s.out_channels, tile_rows) * tile_rows * s.channels;
  // Apart by a little more than a panel, or all would fall on the same lines of the cache.
  plan.panel = unit * (s.channels + 1);
  plan.line = std::min(plan.tile, s.out_width) +
              (s.kernel_width - 1) * s.dilation_width / s.stride_width + 5 * lanes<Acc>;
  plan.lines = (plan.tile / s.out_width + 2) * s.kernel_height * s.stride_width * plan.line;
  plan.scratch = channels_last
                     ? plan.tile * s.channels
                     : plan.tile / unit * plan.panel + plan.tile + 4 * lanes<Acc> + plan.lines;
  return plan;
}

// pointwise: [D, C], in panels of rows (NCHW) or of columns (channels_last).
template <typename T, typename Acc>
void pack_pointwise(const T* pointwise, const SeparableShape& s, bool channels_last, Acc* packed) {
  const auto pack = [&]<int width>() {
    for (int64_t d = 0; d < s.out_channels; d += width, packed += width * s.channels) {
      pack_panel<width>(pointwise + d * s.channels, s.channels, 1, s.out_channels - d, s.channels,
                        packed);
    }
  };
  channels_last ? pack.template operator()<tile_columns<Acc>>()
                : pack.template operator()<tile_rows>();
}

// The taps t in [begin, end) of `kernel` read inside of [0, size), at first + t * dilation.
struct TapSpan {
  int64_t first, begin, end;
};

inline TapSpan taps_inside(int64_t first, int64_t dilation, int64_t kernel, int64_t size) {
  TapSpan taps{first, 0, kernel};
  while (taps.begin < kernel && first + taps.begin * dilation < 0) ++taps.begin;
  while (taps.end > taps.begin && first + (taps.end - 1) * dilation >= size) --taps.end;
  return taps;
}

template <typename Acc>
inline vec<Acc> rectify(vec<Acc> x) {
  return x < 0 ? broadcast(Acc(0)) : x;  // NaN stays
}

// n vectors of a row of depthwise outputs, from column v on. Tap t of the kernel reads lines from
// offsets[t] on.
template <int n, typename Acc>
inline void depthwise_vectors(const Acc* lines, const int64_t* offsets, const Acc* weight, Acc bias,
                              int64_t first, int64_t end, bool relu, Acc* out) {
  vec<Acc> sum[n];
  for (int k = 0; k < n; ++k) sum[k] = broadcast(bias);
  for (int64_t t = first; t < end; ++t) {
    const Acc* line = lines + offsets[t];
    const vec<Acc> w = broadcast(weight[t]);
    for (int k = 0; k < n; ++k) sum[k] = madd(w, load<Acc>(line + k * lanes<Acc>), sum[k]);
  }
  for (int k = 0; k < n; ++k) {
    store<Acc>(out + k * lanes<Acc>, relu ? rectify<Acc>(sum[k]) : sum[k]);
  }
}

// depthwise: [C, kh, kw]; biases of all channels, padded. offsets: tap_offset() of every tap.
template <typename T, typename Acc>
void separable_nchw(const T* input, const Acc* depthwise, const Acc* depthwise_bias,
                    const Acc* pointwise, const Acc* pointwise_bias, T* output,
                    const SeparableShape& s, const SeparablePlan& plan, const SeparableTile& t,
                    const int64_t* offsets, Acc* tile) {
  constexpr int64_t columns = tile_columns<Acc>, step = lanes<Acc>;
  const int64_t pixels = s.out_height * s.out_width, plane_size = s.height * s.width;
  const int64_t depth = s.channels, taps = s.kernel_height * s.kernel_width;
  Acc* const z = tile + plan.tile / columns * plan.panel;
  Acc* const lines = z + plan.tile + 4 * step;
  for (int64_t i = 0; i < plan.lines; ++i) lines[i] = 0;
  for (int64_t c = 0; c < depth; ++c) {
    const T* plane = input + (t.image * depth + c) * plane_size;
    for (const LineCopy& copy : t.copies) {
      const T* from = plane + copy.source;
      if (s.stride_width == 1) {
        copy_into<Acc>(from, copy.count, lines + copy.line);
      } else {
        for (int64_t k = 0; k < copy.count; ++k) {
          lines[copy.line + k] = static_cast<Acc>(from[k * s.stride_width]);
        }
      }
      // The next channel is a plane away, too far for the processor to foresee.
      for (int64_t k = 0; k < copy.count * s.stride_width; k += 64 / int64_t{sizeof(T)}) {
        __builtin_prefetch(from + plane_size + k);
      }
    }
    const Acc* weight = depthwise + c * taps;
    for (const RowRun& run : t.runs) {
      const Acc* line = lines + run.line;
      int64_t v = 0;
      for (; v + 4 * step <= run.n; v += 4 * step) {
        depthwise_vectors<4>(line + v, offsets, weight, depthwise_bias[c], run.first, run.end,
                             s.relu, z + run.at + v);
      }
      for (; v < run.n; v += step) {  // may write beyond: the next run's, written later
        depthwise_vectors<1>(line + v, offsets, weight, depthwise_bias[c], run.first, run.end,
                             s.relu, z + run.at + v);
      }
    }
    for (int64_t j = 0; j < t.n; j += columns) {
      Acc* row = tile + j / columns * plan.panel + c * columns;
      store<Acc>(row, load<Acc>(z + j));
      store<Acc>(row + step, load<Acc>(z + j + step));
    }
  }
  for (int64_t j = 0; j < t.n; j += columns) {
    for (int64_t d = 0; d < s.out_channels; d += tile_rows) {
      TileSums<Acc> sum;
      tile_sums(depth, pointwise + d * depth, 1, tile_rows, tile + j / columns * plan.panel,
                columns, sum);
      T* out = output + (t.image * s.out_channels + d) * pixels + t.first + j;
      for (int64_t r = 0; r < tile_rows && d + r < s.out_channels; ++r, out += pixels) {
        const vec<Acc> bias = broadcast(pointwise_bias[d + r]);
        store_row<T, Acc>(sum[r], bias, bias, t.n - j, out);
      }
    }
  }
}

// n vectors of channels of one pixel's depthwise output.
template <int n, typename T, typename Acc>
inline void depthwise_pixel(const T* image, const Acc* weight, const Acc* bias,
                            const SeparableShape& s, const TapSpan& rows, const TapSpan& columns,
                            int64_t c, Acc* z) {
  vec<Acc> sum[n];
  for (int k = 0; k < n; ++k) sum[k] = load<Acc>(bias + c + k * lanes<Acc>);
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    const T* row = image + (rows.first + i * s.dilation_height) * s.width * s.channels + c;
    for (int64_t j = columns.begin; j < columns.end; ++j) {
      const T* pixel = row + (columns.first + j * s.dilation_width) * s.channels;
      const Acc* w = weight + (i * s.kernel_width + j) * s.channels + c;
      for (int k = 0; k < n; ++k) {
        sum[k] = madd(load<Acc>(w + k * lanes<Acc>), load<Acc>(pixel + k * lanes<Acc>), sum[k]);
      }
    }
  }
  for (int k = 0; k < n; ++k) {
    store<Acc>(z + c + k * lanes<Acc>, s.relu ? rectify<Acc>(sum[k]) : sum[k]);
  }
}

// The depthwise outputs z of pixel p of an image, all channels. depthwise: [kh, kw, C].
template <typename T, typename Acc>
inline void depthwise_channels(const T* x, const Acc* depthwise, const Acc* bias,
                               const SeparableShape& s, int64_t p, Acc* z) {
  constexpr int64_t step = lanes<Acc>;
  const int64_t depth = s.channels;
  const TapSpan down = taps_inside(p / s.out_width * s.stride_height - s.pad_height,
                                   s.dilation_height, s.kernel_height, s.height);
  const TapSpan across = taps_inside(p % s.out_width * s.stride_width - s.pad_width,
                                     s.dilation_width, s.kernel_width, s.width);
  int64_t c = 0;
  for (; c + 4 * step <= depth; c += 4 * step) {
    depthwise_pixel<4>(x, depthwise, bias, s, down, across, c, z);
  }
  for (; c + step <= depth; c += step) {
    depthwise_pixel<1>(x, depthwise, bias, s, down, across, c, z);
  }
  for (; c < depth; ++c) {
    Acc sum = bias[c];
    for (int64_t i = down.begin; i < down.end; ++i) {
      for (int64_t j = across.begin; j < across.end; ++j) {
        const int64_t at =
            (down.first + i * s.dilation_height) * s.width + across.first + j * s.dilation_width;
        sum = madd(depthwise[(i * s.kernel_width + j) * depth + c],
                   static_cast<Acc>(x[at * depth + c]), sum);
      }
    }
    z[c] = s.relu && sum < 0 ? Acc(0) : sum;
  }
}

// With `pairs`, of bfloat16 in words of two channels, as pair_rows() leaves the pointwise weight.
template <bool pairs, typename T, typename Acc>
void separable_channels_last(const T* input, const Acc* depthwise, const Acc* depthwise_bias,
                             const Acc* pointwise, const Acc* pointwise_bias, T* output,
                             const SeparableShape& s, const SeparablePlan& plan, int64_t job,
                             Acc* tile) {
  constexpr int64_t columns = tile_columns<Acc>, step = lanes<Acc>;
  const int64_t pixels = s.out_height * s.out_width, depth = s.channels;
  const int64_t image = job / plan.tiles, first = job % plan.tiles * plan.tile;
  const int64_t n = std::min(plan.tile, pixels - first);
  const T* x = input + image * s.height * s.width * depth;
  for (int64_t p = 0; p < n; ++p) {
    depthwise_channels(x, depthwise, depthwise_bias, s, first + p, tile + p * depth);
    if constexpr (pairs) pair_row(depth, tile + p * depth);
  }
  for (int64_t d = 0; d < s.out_channels; d += columns) {
    const vec<Acc> left = load<Acc>(pointwise_bias + d),
                   right = load<Acc>(pointwise_bias + d + step);
    for (int64_t p = 0; p < n; p += tile_rows) {
      TileSums<Acc> sum;
      const Acc *a = tile + p * depth, *b = pointwise + d * depth;
      if constexpr (pairs) {
        add_pairs<tile_rows, 2>(ceil_div(depth, 2), a, depth, 1, b, columns, sum);
      } else {
        tile_sums(depth, a, depth, 1, b, columns, sum);
      }
      T* out = output + (image * pixels + first + p) * s.out_channels + d;
      for (int64_t r = 0; r < tile_rows && p + r < n; ++r, out += s.out_channels) {
        store_row<T, Acc>(sum[r], left, right, s.out_channels - d, out);
      }
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
