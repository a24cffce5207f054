// CPU launcher of the backward op, a window of tiles at a time. First a job is a tile: what the
// gradient of the output says about its columns, and from that the gradients of its offsets and
// masks. Then a job is some channels of the image, which it alone adds to, or some columns of the
// weight's gradient. Every sum is taken in the order of the output pixels, whatever the threads.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "common/cpu/huge_pages.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "deform_conv2d/deform_conv2d.h"
#include "deform_conv2d/deform_conv2d_cpu.h"

#define FASTCV_CPU_KERNEL "deform_conv2d/deform_conv2d_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"
#include "deform_conv2d/deform_images_cpu.h"

namespace fastcv {
namespace {

constexpr int64_t window_bytes = int64_t{6} << 20;  // of a thread
constexpr int64_t sum_bytes = int64_t{12} << 20;    // of the sums for the image's gradient
constexpr int64_t scatter_channels = 64;
constexpr int64_t weight_columns = 128;

template <typename T>
struct Backward {
  using Acc = acc_t<T>;

  struct Needed {
    bool input, offset, weight;
  };

  const DeformShape& s;
  const at::Tensor &grad, &offset;
  const std::optional<at::Tensor>& mask;
  // A row of columns, and of the output's gradient, of one pixel and group; padded.
  int64_t column_row, grad_row;
  int64_t tiles = 0;          // of an image
  Buffer<Acc> weights;        // [group]: rows are output channels
  std::vector<Chunk> chunks;  // of the weight's gradient
  std::vector<Acc> weight_sums;
  std::vector<int64_t> sums_at;  // of a chunk, in a group's sums
  int64_t sums_of_group = 0;

  // The window: tile i of it has all of these.
  int64_t max_tiles;
  Buffer<Acc> grads;            // [tile][group][pixel][grad_row]
  Buffer<Acc> columns;          // [tile][group][pixel][column_row]
  Buffer<Sample<Acc>> samples;  // [tile][offset group][tap][pixel]
  std::vector<char> reached;    // whether the tile's samples reach the band

  Backward(const DeformShape& s, const at::Tensor& grad, const at::Tensor& offset,
           const std::optional<at::Tensor>& mask)
      : s(s),
        grad(grad),
        offset(offset),
        mask(mask),
        column_row(round_up(s.columns(), max_tile_columns) + line_shift),
        grad_row(round_up(s.group_out_channels(), max_tile_rows) + line_shift),
        tiles(ceil_div(s.out_pixels(), tile_pixels)),
        chunks(chunks_of(s, weight_columns)) {
    const int64_t pixel_bytes = s.groups * (column_row + grad_row) * int64_t{sizeof(Acc)} +
                                int64_t{s.offset_groups} * s.taps() * int64_t{sizeof(Sample<Acc>)};
    max_tiles = std::clamp<int64_t>(window_bytes / (pixel_bytes * tile_pixels), 1, 64) *
                at::get_num_threads();
    max_tiles = std::min(max_tiles, s.batch * tiles);
    grads = make_buffer<Acc>(max_tiles * tile_pixels * s.groups * grad_row);
    samples = make_buffer<Sample<Acc>>(max_tiles * tile_pixels * s.offset_groups * s.taps());
    reached.resize(max_tiles);
  }

  struct Tile {
    int64_t image, first;
    int count;
  };
  Tile tile_of(int64_t number) const {
    const int64_t first = number % tiles * tile_pixels;
    return {number / tiles, first, static_cast<int>(std::min(tile_pixels, s.out_pixels() - first))};
  }
  Acc* grads_of(int64_t in_window, int64_t group) const {
    return grads.get() + (in_window * s.groups + group) * tile_pixels * grad_row;
  }
  Acc* columns_of(int64_t in_window, int64_t group) const {
    return columns.get() + (in_window * s.groups + group) * tile_pixels * column_row;
  }
  Sample<Acc>* samples_of(int64_t in_window, int64_t offset_group, int64_t tap) const {
    return samples.get() +
           ((in_window * s.offset_groups + offset_group) * s.taps() + tap) * tile_pixels;
  }

  void pack(const at::Tensor& weight) {
    columns = make_buffer<Acc>(max_tiles * tile_pixels * s.groups * column_row);
    const at::Tensor by_tap = weight.contiguous(at::MemoryFormat::ChannelsLast);
    const T* w = by_tap.const_data_ptr<T>();
    const int64_t outs = s.group_out_channels(), all = s.columns();
    const int64_t padded = round_up(all, max_tile_columns);
    weights = make_buffer<Acc>(s.groups * outs * padded);
    const int64_t jobs = padded / max_tile_columns;
    at::parallel_for(0, s.groups * jobs, 1, [&](int64_t begin, int64_t end) {
      for (int64_t job = begin; job < end; ++job) {
        const int64_t group = job / jobs, j = job % jobs * max_tile_columns;
        FASTCV_ISA_CALL(pack_columns<Acc, T>)(w + group * outs * all + j, outs, all,
                                              std::min(max_tile_columns, all - j), 1,
                                              weights.get() + group * outs * padded + j * outs);
      }
    });
  }

  // The first half of a window: tiles [begin, end) of all. In the first band all count as reached.
  void prepare(int64_t begin, int64_t end, bool with_columns, int64_t first_pixel,
               int64_t last_pixel) {
    at::parallel_for(begin, end, 1, [&](int64_t b, int64_t e) {
      for (int64_t number = b; number < e; ++number) {
        const Tile tile = tile_of(number);
        const int64_t w = number - begin;
        reached[w] = make_tile_samples(tile, w, first_pixel, last_pixel) || first_pixel == 0;
        if (!reached[w]) continue;
        load_grads(tile, w);
        if (!with_columns) continue;
        const int64_t outs = s.group_out_channels();
        const int64_t padded = round_up(s.columns(), max_tile_columns);
        for (int64_t g = 0; g < s.groups; ++g) {
          FASTCV_ISA_CALL(multiply<false, Acc>)(tile.count, s.columns(), outs, grads_of(w, g),
                                                grad_row, 1, weights.get() + g * outs * padded, 0,
                                                columns_of(w, g), column_row);
        }
      }
    });
  }

  bool make_tile_samples(const Tile& tile, int64_t in_window, int64_t first_pixel,
                         int64_t last_pixel) {
    const Positions<T> positions(offset, mask, tile.image);
    bool any = false;
    for (int d = 0; d < s.offset_groups; ++d) {
      for (int t = 0; t < s.taps(); ++t) {
        Sample<Acc>* of_tap = samples_of(in_window, d, t);
        make_samples(s, positions, d, t, tile.first, tile.count, of_tap);
        for (int p = 0; p < tile.count; ++p) {
          any |= of_tap[p].pixel[3] >= first_pixel && of_tap[p].pixel[0] < last_pixel;
        }
      }
    }
    return any;
  }

  // The output's gradient, a row for each pixel.
  void load_grads(const Tile& tile, int64_t in_window) {
    const int64_t outs = s.group_out_channels(), pixels = s.out_pixels();
    const T* from = grad.const_data_ptr<T>() + tile.image * s.out_channels * pixels;
    for (int64_t g = 0; g < s.groups; ++g) {
      Acc* to = grads_of(in_window, g);
      std::fill_n(to, tile_pixels * grad_row, Acc(0));
      if (is_channels_last(grad)) {
        for (int p = 0; p < tile.count; ++p) {
          FASTCV_ISA_CALL(copy_into<Acc, T, Acc>)(
              from + (tile.first + p) * s.out_channels + g * outs, outs, to + p * grad_row);
        }
      } else {
        FASTCV_ISA_CALL(transpose_into<Acc, T, Acc>)(from + g * outs * pixels + tile.first, pixels,
                                                     outs, tile.count, to, grad_row);
      }
    }
  }

  // Gradients of offsets and masks of the window's tiles, which are dense NCHW.
  void position_gradients(int64_t begin, int64_t end, const Images<T>& images,
                          const std::vector<Piece>& pieces, const at::Tensor& grad_offset,
                          const at::Tensor& grad_mask) {
    T* to_offset = grad_offset.mutable_data_ptr<T>();
    T* to_mask = mask ? grad_mask.mutable_data_ptr<T>() : nullptr;
    const int64_t pixels = s.out_pixels(), taps = s.taps();
    at::parallel_for(begin, end, 1, [&](int64_t b, int64_t e) {
      const auto dots = make_buffer<Acc>(tile_pixels * 4);
      for (int64_t number = b; number < e; ++number) {
        const Tile tile = tile_of(number);
        const int64_t w = number - begin;
        if (!reached[w]) continue;
        const Positions<T> positions(offset, mask, tile.image);
        const PixelView<T> image = images.view(tile.image);
        for (int t = 0; t < taps; ++t) {
          auto piece = pieces.begin();
          for (int d = 0; d < s.offset_groups; ++d) {
            std::fill_n(dots.get(), tile_pixels * 4, Acc(0));
            for (; piece != pieces.end() && piece->offset_group == d; ++piece) {
              FASTCV_ISA_CALL(dot_corners<Acc, T>)(
                  image.from_channel(piece->c), piece->c_end - piece->c, samples_of(w, d, t),
                  tile.count, column_at(w, *piece, t), column_row, dots.get());
            }
            const int64_t channel = (tile.image * s.offset_groups + d) * taps + t;
            T* y_grad = to_offset + channel * 2 * pixels + tile.first;
            for_each_position(s, positions, d, t, tile.first, tile.count,
                              [&](int p, const auto& y, const auto& x, Acc m) {
                                const auto g = sample_gradient(y, x, dots.get() + p * 4, m);
                                y_grad[p] = static_cast<T>(g.y);
                                y_grad[pixels + p] = static_cast<T>(g.x);
                                if (to_mask == nullptr) return;
                                to_mask[channel * pixels + tile.first + p] = static_cast<T>(g.mask);
                              });
          }
        }
      }
    });
  }

  const Acc* column_at(int64_t in_window, const Piece& piece, int tap) const {
    return columns_of(in_window, piece.group) + tap * s.group_channels() + piece.c -
           piece.group * s.group_channels();
  }

  // Adds what the window's tiles give to pixels [first, last) of images [n, ...): sums of image i
  // begin at sums + (i - n) * (last - first) * s.channels.
  void scatter_window(int64_t begin, int64_t end, int64_t n, int64_t first, int64_t last, Acc* sums,
                      const std::vector<Piece>& pieces) const {
    const int64_t images = (end - 1) / tiles - begin / tiles + 1;
    at::parallel_for(0, images * std::ssize(pieces), 1, [&](int64_t b, int64_t e) {
      for (int64_t job = b; job < e; ++job) {
        const Piece& piece = pieces[job % std::ssize(pieces)];
        const int64_t image = begin / tiles + job / std::ssize(pieces);
        const int64_t from = std::max(begin, image * tiles),
                      to = std::min(end, (image + 1) * tiles);
        for (int64_t number = from; number < to; ++number) {
          const int64_t w = number - begin;
          if (!reached[w]) continue;
          for (int t = 0; t < s.taps(); ++t) {
            FASTCV_ISA_CALL(scatter<Acc>)(
                samples_of(w, piece.offset_group, t), tile_of(number).count, column_at(w, piece, t),
                column_row, piece.c_end - piece.c, first, last,
                sums + (image - n) * (last - first) * s.channels + piece.c, s.channels);
          }
        }
      }
    });
  }

  void prepare_weight_sums() {
    for (const Chunk& chunk : chunks) {
      sums_at.push_back(sums_of_group);
      sums_of_group += round_up(s.group_out_channels(), max_tile_rows) *
                       round_up(chunk.columns(), max_tile_columns);
    }
    weight_sums.assign(s.groups * sums_of_group, Acc(0));
  }

  void add_weight_gradient(int64_t begin, int64_t end, const Images<T>& images) {
    const int64_t count = std::ssize(chunks);
    at::parallel_for(0, s.groups * count, 1, [&](int64_t b, int64_t e) {
      std::vector<Acc> gathered(tile_pixels * (weight_columns + max_tile_columns));
      for (int64_t job = b; job < e; ++job) {
        const int64_t group = job / count;
        const Chunk& chunk = chunks[job % count];
        const int64_t row = round_up(chunk.columns(), max_tile_columns);
        Acc* sums = weight_sums.data() + group * sums_of_group + sums_at[job % count];
        for (int64_t number = begin; number < end; ++number) {
          const Tile tile = tile_of(number);
          const int64_t w = number - begin;
          const PixelView<T> image = images.view(tile.image);
          for (int t = chunk.t; t < chunk.t_end; ++t) {
            const int64_t channel = group * s.group_channels() + chunk.c;
            for_each_offset_group(
                s, channel, channel + chunk.channels(), [&](int d, int64_t c, int64_t c_end) {
                  FASTCV_ISA_CALL(gather<Acc, T>)(
                      image.from_channel(c), c_end - c, samples_of(w, d, t), tile.count,
                      gathered.data() + (t - chunk.t) * chunk.channels() + c - channel, row);
                });
          }
          FASTCV_ISA_CALL(multiply<true, Acc>)(s.group_out_channels(), chunk.columns(), tile.count,
                                               grads_of(w, group), 1, grad_row, gathered.data(),
                                               row, sums, row);
        }
      }
    });
  }

  // From [group][chunk][output channel][column] to [output channel][channel][tap].
  void store_weight_gradient(const at::Tensor& grad_weight) const {
    T* to = grad_weight.mutable_data_ptr<T>();
    const int64_t outs = s.group_out_channels(), taps = s.taps();
    for (int64_t g = 0; g < s.groups; ++g) {
      for (size_t i = 0; i < chunks.size(); ++i) {
        const Chunk& chunk = chunks[i];
        const Acc* sums = weight_sums.data() + g * sums_of_group + sums_at[i];
        const int64_t row = round_up(chunk.columns(), max_tile_columns);
        for (int64_t o = 0; o < outs; ++o) {
          T* of_out = to + (g * outs + o) * s.columns();
          for (int t = chunk.t; t < chunk.t_end; ++t) {
            const Acc* from = sums + o * row + (t - chunk.t) * chunk.channels();
            for (int64_t c = chunk.c; c < chunk.c_end; ++c) {
              of_out[c * taps + t] = static_cast<T>(from[c - chunk.c]);
            }
          }
        }
      }
    }
  }

  // Sums of pixels [first, last) of images [n, n_end) into grad_input.
  void store_input_gradient(const Acc* sums, int64_t n, int64_t n_end, int64_t first, int64_t last,
                            const at::Tensor& grad_input) const {
    constexpr int64_t step = 64;
    const int64_t wide = last - first, jobs = ceil_div(wide, step), size = s.pixels() * s.channels;
    const bool channels_last = is_channels_last(grad_input);
    at::parallel_for(0, (n_end - n) * jobs, 1, [&](int64_t b, int64_t e) {
      for (int64_t job = b; job < e; ++job) {
        const int64_t image = job / jobs, i = job % jobs * step, count = std::min(step, wide - i);
        const Acc* from = sums + (image * wide + i) * s.channels;
        T* to = grad_input.mutable_data_ptr<T>() + (n + image) * size;
        if (channels_last) {
          FASTCV_ISA_CALL(copy_into<Acc, Acc, T>)(from, count * s.channels,
                                                  to + (first + i) * s.channels);
        } else {
          FASTCV_ISA_CALL(transpose_into<Acc, Acc, T>)(from, s.channels, count, s.channels,
                                                       to + first + i, s.pixels());
        }
      }
    });
  }

  void run(const at::Tensor& input, const at::Tensor& weight, Needed needed,
           const at::Tensor& grad_input, const at::Tensor& grad_offset,
           const at::Tensor& grad_weight, const at::Tensor& grad_mask) {
    Images<T> images(s, input);
    const bool with_columns = needed.input || needed.offset;
    if (with_columns) pack(weight);
    if (needed.weight) prepare_weight_sums();
    const auto to_scatter = pieces_of(s, scatter_channels), to_dot = pieces_of(s, s.channels);

    // As many images at a time as both buffers hold; of an image too large, a band of its rows.
    const int64_t image_sum_bytes = s.pixels() * s.channels * int64_t{sizeof(Acc)};
    const int64_t at_once =
        std::min(images.at_once, std::clamp<int64_t>(sum_bytes / image_sum_bytes, 1, s.batch));
    const int64_t row_bytes = int64_t{s.width} * s.channels * int64_t{sizeof(Acc)};
    const int64_t band = needed.input
                             ? std::clamp<int64_t>(sum_bytes / row_bytes, 1, s.height) * s.width
                             : s.pixels();
    std::vector<Acc> sums;
    for (int64_t n = 0; n < s.batch; n += at_once) {
      const int64_t n_end = std::min(n + at_once, s.batch);
      images.lay_out(n, n_end);
      for (int64_t first = 0; first < s.pixels(); first += band) {
        const int64_t last = std::min(first + band, s.pixels());
        if (needed.input) sums.assign((n_end - n) * (last - first) * s.channels, Acc(0));
        for (int64_t begin = n * tiles; begin < n_end * tiles; begin += max_tiles) {
          const int64_t end = std::min(begin + max_tiles, n_end * tiles);
          prepare(begin, end, with_columns, first, last);
          if (needed.offset && first == 0) {
            position_gradients(begin, end, images, to_dot, grad_offset, grad_mask);
          }
          if (needed.input) scatter_window(begin, end, n, first, last, sums.data(), to_scatter);
          if (needed.weight && first == 0) add_weight_gradient(begin, end, images);
        }
        if (needed.input) store_input_gradient(sums.data(), n, n_end, first, last, grad_input);
      }
    }
    if (needed.weight) store_weight_gradient(grad_weight);
  }
};

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor> deform_conv2d_backward_cpu(
    const at::Tensor& grad, const at::Tensor& input, const at::Tensor& offset,
    const at::Tensor& weight, const std::optional<at::Tensor>& mask, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, bool of_input, bool of_offset,
    bool of_weight) {
  const DeformShape s =
      check_deform_conv2d_backward(grad, input, offset, weight, mask, stride, padding, dilation);
  const auto result = [&](bool needed, const at::Tensor& like, at::MemoryFormat format) {
    const at::Tensor t =
        needed ? at::empty(like.sizes(), like.options(), format) : at::empty({0}, like.options());
    advise_huge_pages(t);
    return t;
  };
  constexpr auto dense = at::MemoryFormat::Contiguous;
  const at::Tensor grad_input = result(of_input, input, input.suggest_memory_format());
  const at::Tensor grad_offset = result(of_offset, offset, dense);
  const at::Tensor grad_weight = result(of_weight, weight, dense);
  const at::Tensor grad_mask = result(of_offset && mask, mask ? *mask : offset, dense);
  if (grad.numel() == 0 || input.numel() == 0) {
    for (const at::Tensor& t : {grad_input, grad_offset, grad_weight, grad_mask}) t.zero_();
  } else {
    const at::Tensor dense_grad = grad.contiguous(grad.suggest_memory_format());
    dispatch_floating(input.scalar_type(), "_deform_conv2d_backward", "input", [&]<typename T>() {
      Backward<T>(s, dense_grad, offset, mask)
          .run(input, weight, {of_input, of_offset, of_weight}, grad_input, grad_offset,
               grad_weight, grad_mask);
    });
  }
  return {grad_input, grad_offset, grad_weight, grad_mask};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("_deform_conv2d_backward", deform_conv2d_backward_cpu);
}

}  // namespace fastcv
