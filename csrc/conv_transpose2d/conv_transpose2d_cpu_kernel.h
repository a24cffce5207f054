// Kernels of the two ways that are our own.
#include "common/cpu/matmul_tile.h"

namespace fastcv::FASTCV_ISA {

// --- Kernel = stride: output[d, y * kh + i, x * kw + j] = bias[d] + sum over c of
// weight[c, d, i, j] * input[c, y, x], one matrix product. A job is a tile of pixels of a group.

template <typename Acc>
NoOverlapPlan plan_no_overlap(const TransposedShape& s, bool channels_last, int64_t threads) {
  constexpr int64_t columns = tile_columns<Acc>;
  NoOverlapPlan plan{};
  plan.depth = s.in_channels / s.groups;
  plan.channels = s.out_channels / s.groups;
  const int64_t taps = s.kernel_height * s.kernel_width, pixels = s.height * s.width;
  // A tile of input takes at most a third of a 512 KiB cache.
  const int64_t unit = channels_last ? tile_rows : columns;
  const int64_t max_units =
      std::max<int64_t>(1, (160 << 10) / (unit * plan.depth * int64_t{sizeof(Acc)}));
  const int64_t min_tiles = ceil_div(pixels, std::min(max_units, 512 / unit) * unit);
  const int64_t even = ceil_div(min_tiles, threads) * threads;  // as many for each thread
  plan.tile = ceil_div(ceil_div(pixels, even), unit) * unit;
  plan.tiles = ceil_div(pixels, plan.tile);
  if (channels_last) {
    plan.block = plan.channels;
    plan.panels = taps * ceil_div(plan.channels, columns);
    plan.packed = plan.panels * plan.depth * columns;
    plan.scratch = plan.tile * plan.depth;
  } else {
    plan.block = std::min(std::max<int64_t>(1, 96 / taps), plan.channels);
    plan.panels = ceil_div(plan.block * taps, tile_rows);
    plan.packed = ceil_div(plan.channels, plan.block) * plan.panels * plan.depth * tile_rows;
    // Apart by a little more than a panel, or all would fall on the same lines of the cache.
    plan.panel = columns * (plan.depth + 1);
    plan.scratch = plan.tile / columns * plan.panel + plan.tile * plan.panels * tile_rows;
  }
  return plan;
}

// NCHW: panels of rows, a row for each (d, i, j) of a block of output channels.
template <typename T, typename Acc>
void pack_rows(const T* weight, int64_t taps, const NoOverlapPlan& plan, Acc* packed) {
  const int64_t all = plan.channels * taps, panel = plan.depth * tile_rows;
  for (int64_t d = 0; d < plan.channels; d += plan.block) {
    const int64_t end = std::min((d + plan.block) * taps, all);
    for (int64_t p = 0; p < plan.panels; ++p, packed += panel) {
      const int64_t row = d * taps + p * tile_rows;
      pack_panel<tile_rows>(weight + std::min(row, all - 1), 1, all, end - row, plan.depth, packed);
    }
  }
}

// channels_last: panels of columns, for each (i, j) the output channels.
template <typename T, typename Acc>
void pack_columns(const T* weight, int64_t taps, const NoOverlapPlan& plan, Acc* packed) {
  constexpr int columns = tile_columns<Acc>;
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t d = 0; d < plan.channels; d += columns, packed += plan.depth * columns) {
      pack_panel<columns>(weight + d * taps + tap, taps, plan.channels * taps, plan.channels - d,
                          plan.depth, packed);
    }
  }
}

// out[x * count + j] = phases[j * step + x] + bias
template <typename T, typename Acc>
void weave(const Acc* phases, int64_t step, int64_t count, int64_t n, Acc bias, T* out) {
  int64_t x = 0;
  if (count == 2) {
    constexpr auto all = std::make_index_sequence<lanes<Acc>>();
    for (; x + lanes<Acc> <= n; x += lanes<Acc>) {
      const vec<Acc> even = load<Acc>(phases + x) + broadcast(bias);
      const vec<Acc> odd = load<Acc>(phases + step + x) + broadcast(bias);
      store<Acc>(out + 2 * x, zip<0>(even, odd, all));
      store<Acc>(out + 2 * x + lanes<Acc>, zip<lanes<Acc> / 2>(even, odd, all));
    }
  }
  for (; x < n; ++x) {
    for (int64_t j = 0; j < count; ++j) {
      out[x * count + j] = static_cast<T>(phases[j * step + x] + bias);
    }
  }
}

template <typename T, typename Acc>
void no_overlap_nchw(const T* input, const Acc* packed, const Acc* bias, T* output,
                     const TransposedShape& s, const NoOverlapPlan& plan, int64_t begin,
                     int64_t end, Acc* scratch) {
  constexpr int64_t columns = tile_columns<Acc>;
  const int64_t taps = s.kernel_height * s.kernel_width, pixels = s.height * s.width;
  const int64_t panel_size = plan.depth * tile_rows;
  Acc* const sums = scratch + plan.tile / columns * plan.panel;
  for (int64_t job = begin; job < end; ++job) {
    const int64_t slice = job / plan.tiles, group = slice % s.groups;  // slice: image and group
    const int64_t first = job % plan.tiles * plan.tile;
    const int64_t n = std::min(plan.tile, pixels - first);
    for (int64_t j = 0; j < n; j += columns) {
      pack_panel<columns>(input + slice * plan.depth * pixels + first + j, 1, pixels, n - j,
                          plan.depth, scratch + j / columns * plan.panel);
    }
    const Acc* a = packed + group * plan.packed;
    for (int64_t block = 0; block < plan.channels; block += plan.block) {
      const int64_t block_end = std::min(block + plan.block, plan.channels);
      const int64_t panels = ceil_div((block_end - block) * taps, tile_rows);
      for (int64_t j = 0; j < n; j += columns) {
        for (int64_t p = 0; p < panels; ++p) {
          TileSums<Acc> sum;
          tile_sums(plan.depth, a + p * panel_size, 1, tile_rows,
                    scratch + j / columns * plan.panel, columns, sum);
          for (int r = 0; r < tile_rows; ++r) {
            Acc* at = sums + (p * tile_rows + r) * plan.tile + j;
            store<Acc>(at, sum[r][0]);
            store<Acc>(at + lanes<Acc>, sum[r][1]);
          }
        }
      }
      a += plan.panels * panel_size;
      for (int64_t d = block; d < block_end; ++d) {
        const Acc* of_channel = sums + (d - block) * taps * plan.tile;
        T* plane = output + (slice * plan.channels + d) * s.out_height * s.out_width;
        for (int64_t i = 0; i < s.kernel_height; ++i) {
          const Acc* phases = of_channel + i * s.kernel_width * plan.tile;
          for (int64_t at = 0; at < n;) {  // a row of input at a time
            const int64_t y = (first + at) / s.width, x = (first + at) % s.width;
            const int64_t length = std::min(s.width - x, n - at);
            weave(phases + at, plan.tile, s.kernel_width, length, bias[group * plan.channels + d],
                  plane + (y * s.kernel_height + i) * s.out_width + x * s.kernel_width);
            at += length;
          }
        }
      }
    }
  }
}

template <typename T, typename Acc>
void no_overlap_channels_last(const T* input, const Acc* packed, const Acc* bias, T* output,
                              const TransposedShape& s, const NoOverlapPlan& plan, int64_t begin,
                              int64_t end, Acc* rows) {
  constexpr int64_t columns = tile_columns<Acc>;
  const int64_t pixels = s.height * s.width, depth = plan.depth;
  for (int64_t job = begin; job < end; ++job) {
    const int64_t slice = job / plan.tiles, image = slice / s.groups, group = slice % s.groups;
    const int64_t first = job % plan.tiles * plan.tile;
    const int64_t n = std::min(plan.tile, pixels - first);
    int64_t place[512 + tile_rows];  // where in its output image a pixel begins
    for (int64_t p = 0; p < n; ++p) {
      const int64_t y = (first + p) / s.width, x = (first + p) % s.width;
      place[p] = (y * s.kernel_height * s.out_width + x * s.kernel_width) * s.out_channels;
      copy_into<Acc>(input + (image * pixels + first + p) * s.in_channels + group * depth, depth,
                     rows + p * depth);
    }
    const Acc* b = packed + group * plan.packed;
    T* of_image = output + image * s.out_height * s.out_width * s.out_channels;
    for (int64_t i = 0; i < s.kernel_height; ++i) {
      for (int64_t j = 0; j < s.kernel_width; ++j) {
        for (int64_t d = 0; d < plan.channels; d += columns, b += depth * columns) {
          const int64_t channel = group * plan.channels + d;
          const vec<Acc> left = load<Acc>(bias + channel),
                         right = load<Acc>(bias + channel + lanes<Acc>);
          T* out = of_image + (i * s.out_width + j) * s.out_channels + channel;
          for (int64_t p = 0; p < n; p += tile_rows) {
            TileSums<Acc> sum;
            tile_sums(depth, rows + p * depth, depth, 1, b, columns, sum);
            const int64_t count = std::min<int64_t>(tile_rows, n - p);
            for (int64_t r = 0; r < count; ++r) {
              store_row<T, Acc>(sum[r], left, right, plan.channels - d, out + place[p + r]);
            }
          }
        }
      }
    }
  }
}

// --- A kernel for each channel, long strides: an output pixel gathers the up to 2 x 2 kernels that
// reach it. Within a block of the stride the pixels of input stay, in registers, and the weights go
// by.

// `vectors` of them, `step` elements apart, on each of `lines`.
struct Run {
  int64_t vectors, step;
  int64_t lines, source_line, out_line;
};

// out = bias + the sum of factor * source over the taps.
template <typename Acc>
struct Taps {
  int count = 0;  // 0, 1, 2 or 4
  vec<Acc> factors[4];
  const Acc* sources[4];

  void add(vec<Acc> factor, const Acc* source) {
    factors[count] = factor;
    sources[count++] = source;
  }

  template <int n, typename T>
  void sum_of(vec<Acc> bias, const Run& run, T* out) const {
    vec<Acc> factor[n + 1];
    for (int k = 0; k < n; ++k) factor[k] = factors[k];
    const Acc* source[n + 1];
    for (int k = 0; k < n; ++k) source[k] = sources[k];
    for (int64_t line = 0; line < run.lines; ++line, out += run.out_line) {
      for (int64_t i = 0; i < run.vectors * run.step; i += run.step) {
        vec<Acc> sum = bias;
        for (int k = 0; k < n; ++k) sum = madd(factor[k], load<Acc>(source[k] + i), sum);
        store<Acc>(out + i, sum);
      }
      for (int k = 0; k < n; ++k) source[k] += run.source_line;
    }
  }

  template <typename T>
  void sum(vec<Acc> bias, const Run& run, T* out) const {
    if (count == 4) return sum_of<4>(bias, run, out);
    if (count == 2) return sum_of<2>(bias, run, out);
    if (count == 1) return sum_of<1>(bias, run, out);
    sum_of<0>(bias, run, out);
  }
};

// NCHW. A job is a row of blocks: rows of output from starts[] on.
template <typename T, typename Acc>
void depthwise_nchw(const T* input, const Acc* weight, const Acc* bias, T* output,
                    const TransposedShape& s, const TapTables& tables, int64_t begin, int64_t end) {
  constexpr int64_t step = lanes<Acc>;
  for (int64_t job = begin; job < end; ++job) {
    const int64_t plane = job / tables.blocks, channel = plane % s.in_channels;
    const int64_t y = tables.starts[job % tables.blocks];
    const TapRange& row = tables.rows[y];
    const int64_t lines = std::min(row.run, s.out_height - y);
    T* out = output + (plane * s.out_height + y) * s.out_width;
    for (int64_t x = 0, n = 0; x < s.out_width; x += n) {
      const TapRange& column = tables.columns[x];
      n = std::min(column.run, s.out_width - x);
      Taps<Acc> taps;
      for (int64_t a = row.begin; a < row.end; ++a) {
        const T* pixel = input + (plane * s.height + row.block - a) * s.width + column.block;
        const Acc* w =
            weight + (channel * s.kernel_height + row.phase + a * s.stride_height) * s.kernel_width;
        for (int64_t b = column.begin; b < column.end; ++b) {
          taps.add(broadcast(static_cast<Acc>(pixel[-b])), w + column.phase + b * s.stride_width);
        }
      }
      const vec<Acc> start = broadcast(bias[channel]);
      // The last vector may reach into the next block, which is written after it.
      const bool reaches = x + round_up(n, step) <= s.out_width;
      const int64_t vectors = (n + (reaches ? step - 1 : 0)) / step;
      taps.sum(start, {vectors, step, lines, s.kernel_width, s.out_width}, out + x);
      const int64_t rest = vectors * step;
      if (rest >= n) continue;
      for (int64_t line = 0; line < lines; ++line) {
        Taps<Acc> last = taps;
        for (int k = 0; k < taps.count; ++k) last.sources[k] += rest + line * s.kernel_width;
        T whole[step];
        last.sum(start, {1, step, 1, 0, 0}, whole);
        for (int64_t i = rest; i < n; ++i) out[line * s.out_width + x + i] = whole[i - rest];
      }
    }
  }
}

// channels_last; weight: [kh, kw, C]. At least a vector of channels; the last vector overlaps the
// one before.
template <typename T, typename Acc>
void depthwise_channels_last(const T* input, const Acc* weight, const Acc* bias, T* output,
                             const TransposedShape& s, const TapTables& tables, int64_t begin,
                             int64_t end) {
  const int64_t channels = s.in_channels;
  constexpr int64_t max_lines =
      2;  // lines whose outputs stay in the nearest cache for all channels
  for (int64_t job = begin; job < end; ++job) {
    const int64_t image = job / tables.blocks, first = tables.starts[job % tables.blocks];
    const T* x = input + image * s.height * s.width * channels;
    for (int64_t y = first, lines = 0; y < s.out_height && y < first + tables.rows[first].run;
         y += lines) {
      const TapRange& row = tables.rows[y];
      lines = std::min({max_lines, row.run, s.out_height - y});
      for (int64_t at = 0, n = 0; at < s.out_width; at += n) {
        const TapRange& column = tables.columns[at];
        n = std::min(column.run, s.out_width - at);
        const Run run{n, channels, lines, s.kernel_width * channels, s.out_width * channels};
        T* out = output + ((image * s.out_height + y) * s.out_width + at) * channels;
        for (int64_t next = 0; next < channels; next += lanes<Acc>) {
          const int64_t c = std::min(next, channels - lanes<Acc>);
          Taps<Acc> taps;
          for (int64_t a = row.begin; a < row.end; ++a) {
            const int64_t pixel = (row.block - a) * s.width + column.block;
            const int64_t tap = (row.phase + a * s.stride_height) * s.kernel_width + column.phase;
            for (int64_t b = column.begin; b < column.end; ++b) {
              taps.add(load<Acc>(x + (pixel - b) * channels + c),
                       weight + (tap + b * s.stride_width) * channels + c);
            }
          }
          taps.sum(load<Acc>(bias + c), run, out + c);
        }
      }
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
