// CPU launcher of the forward op. A job is a tile of output pixels: columns are gathered a few
// taps at a time and multiplied while they are in the cache.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "common/cpu/cpu_bfloat16.h"
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

template <typename T>
struct Forward {
  using Acc = acc_t<T>;

  const DeformShape& s;
  const at::Tensor& offset;
  const std::optional<at::Tensor>& mask;
  std::vector<Chunk> chunks;
  Buffer<Acc> weights;  // [group][chunk]: its columns, packed
  std::vector<Acc> bias;
  at::Tensor output;
  int64_t out_columns;  // of a group, padded

  Forward(const DeformShape& s, const at::Tensor& offset, const at::Tensor& weight,
          const std::optional<at::Tensor>& bias, const std::optional<at::Tensor>& mask,
          const at::Tensor& output)
      : s(s),
        offset(offset),
        mask(mask),
        chunks(chunks_of(s, chunk_columns)),
        output(output),
        out_columns(round_up(s.group_out_channels(), max_tile_columns)) {
    pack(weight);
    this->bias.assign(s.groups * out_columns, Acc(0));
    if (!bias) return;
    const T* b = bias->const_data_ptr<T>();
    const int64_t outs = s.group_out_channels();
    for (int64_t o = 0; o < s.out_channels; ++o) {
      this->bias[o / outs * out_columns + o % outs] = static_cast<Acc>(b[o * bias->stride(0)]);
    }
  }

  Acc* weights_of(int64_t group, const Chunk& chunk) const {
    return weights.get() + (group * s.columns() + chunk.first) * out_columns;
  }

  void pack(const at::Tensor& weight) {
    weights = make_buffer<Acc>(s.groups * s.columns() * out_columns);
    const at::Tensor by_tap = weight.contiguous(at::MemoryFormat::ChannelsLast);
    const T* w = by_tap.const_data_ptr<T>();
    const int64_t outs = s.group_out_channels(), count = std::ssize(chunks);
    at::parallel_for(0, s.groups * count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t job = begin; job < end; ++job) {
        const Chunk& chunk = chunks[job % count];
        Acc* const to = weights_of(job / count, chunk);
        FASTCV_ISA_CALL(pack_columns<Acc, T>)(w + job / count * outs * s.columns() + chunk.first,
                                              chunk.columns(), 1, outs, s.columns(), to);
#if defined(__x86_64__)
        if constexpr (std::is_same_v<T, c10::BFloat16>) {
          if (multiplies_bfloat16()) isa_avx512::pair_columns(chunk.columns(), outs, to);
        }
#endif
      }
    });
  }

  struct Scratch {
    Buffer<Sample<Acc>> samples = make_buffer<Sample<Acc>>(tile_pixels);
    std::vector<Acc> columns = std::vector<Acc>(tile_pixels * (chunk_columns + line_shift));
    Buffer<Acc> sums;
  };

  // Output pixels [first, first + count) of one image, all channels of one group.
  void tile(int64_t n, int64_t group, int64_t first, int count, const PixelView<T>& image,
            Scratch& scratch) const {
    const int64_t outs = s.group_out_channels();
    Acc* sums = scratch.sums.get();
    for (int64_t p = 0; p < round_up(count, max_tile_rows); ++p) {
      std::copy_n(bias.data() + group * out_columns, out_columns, sums + p * out_columns);
    }
    const Positions<T> positions(offset, mask, n);
    for (const Chunk& chunk : chunks) {
      const int64_t row = chunk.columns() + line_shift;
      for (int t = chunk.t; t < chunk.t_end; ++t) {
        const int64_t channel = group * s.group_channels() + chunk.c;
        for_each_offset_group(
            s, channel, channel + chunk.channels(), [&](int offset_group, int64_t c, int64_t end) {
              make_samples(s, positions, offset_group, t, first, count, scratch.samples.get());
              Acc* out = scratch.columns.data() + (t - chunk.t) * chunk.channels() + c - channel;
              FASTCV_ISA_CALL(gather<Acc, T>)(image.from_channel(c), end - c, scratch.samples.get(),
                                              count, out, row);
            });
      }
      add_product(count, chunk.columns(), scratch.columns.data(), row, weights_of(group, chunk),
                  sums);
    }
    store(n, group, first, count, sums);
  }

  // sums += columns * weights
  void add_product(int count, int64_t n, Acc* columns, int64_t row, const Acc* weights,
                   Acc* sums) const {
    const int64_t outs = s.group_out_channels();
#if defined(__x86_64__)
    if constexpr (std::is_same_v<T, c10::BFloat16>) {
      if (multiplies_bfloat16()) {
        for (int p = 0; p < count; ++p) isa_avx512::pair_row(n, columns + p * row);
        return isa_avx512::multiply_pairs(count, outs, n, columns, row, weights, sums, out_columns);
      }
    }
#endif
    FASTCV_ISA_CALL(multiply<true, Acc>)(count, outs, n, columns, row, 1, weights, 0, sums,
                                         out_columns);
  }

  void store(int64_t n, int64_t group, int64_t first, int count, const Acc* sums) const {
    const int64_t outs = s.group_out_channels(), pixels = s.out_pixels();
    T* out = output.mutable_data_ptr<T>() + n * s.out_channels * pixels;
    if (is_channels_last(output)) {
      for (int p = 0; p < count; ++p) {
        FASTCV_ISA_CALL(copy_into<Acc, Acc, T>)(sums + p * out_columns, outs,
                                                out + (first + p) * s.out_channels + group * outs);
      }
    } else {
      FASTCV_ISA_CALL(transpose_into<Acc, Acc, T>)(sums, out_columns, count, outs,
                                                   out + group * outs * pixels + first, pixels);
    }
  }

  void run(const at::Tensor& input) const {
    Images<T> images(s, input);
    const int64_t tiles = ceil_div(s.out_pixels(), tile_pixels);
    for (int64_t n = 0; n < s.batch; n += images.at_once) {
      const int64_t end_image = std::min(n + images.at_once, s.batch);
      images.lay_out(n, end_image);
      at::parallel_for(0, (end_image - n) * tiles * s.groups, 1, [&](int64_t begin, int64_t end) {
        Scratch scratch;
        scratch.sums = make_buffer<Acc>(tile_pixels * out_columns);
        for (int64_t job = begin; job < end; ++job) {
          const int64_t image = n + job / s.groups / tiles;
          const int64_t first = job / s.groups % tiles * tile_pixels;
          const int count = static_cast<int>(std::min(tile_pixels, s.out_pixels() - first));
          tile(image, job % s.groups, first, count, images.view(image), scratch);
        }
      });
    }
  }
};

at::Tensor deform_conv2d_cpu(const at::Tensor& input, const at::Tensor& offset,
                             const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                             at::IntArrayRef stride, at::IntArrayRef padding,
                             at::IntArrayRef dilation, const std::optional<at::Tensor>& mask) {
  const DeformShape s =
      check_deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask);
  const at::Tensor output =
      empty_on_huge_pages(input, {s.batch, s.out_channels, s.out_height, s.out_width});
  if (output.numel() == 0) return output;
  dispatch_floating(input.scalar_type(), "deform_conv2d", "input", [&]<typename T>() {
    Forward<T>(s, offset, weight, bias, mask, output).run(input);
  });
  return output;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("deform_conv2d", deform_conv2d_cpu); }

}  // namespace fastcv
