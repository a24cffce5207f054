// How the RoI ops split their work on the CPU. channels_last: a RoI a job, all its channels at
// once. NCHW: an image's block of 16 channels a job, laid side by side in a buffer first, so that
// both run the same kernel. Gradients: a band of rows, or a block of channels, a job. Included
// after common/cpu/foreach_isa.h.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include "common/cpu/buffer.h"
#include "common/cpu/huge_pages.h"
#include "common/host/accumulate.h"
#include "common/host/ceil_div.h"
#include "common/host/memory_format.h"
#include "common/roi/roi.h"
#include "common/roi/roi_plan.h"

namespace fastcv {

inline constexpr int64_t roi_block = isa_portable::block_channels;
inline constexpr int64_t roi_buffer_bytes = int64_t{24} << 20;

// rois in the type that the op computes in.
template <typename T>
struct Rois {
  at::Tensor dense;  // keeps the data alive
  const T* data;
  int64_t count;

  Rois(const char* op, const at::Tensor& rois, int64_t batch)
      : dense(rois.to(c10::CppTypeToScalarType<T>::value).contiguous()),
        data(dense.template const_data_ptr<T>()),
        count(rois.size(0)) {
    check_batch_index(op, data, count, rois.size(1), batch);
  }
};

// Sizes of a feature map and of what is pooled from it.
struct RoiShape {
  int64_t batch, channels, height, width;
  int pooled_height, pooled_width;

  RoiShape(at::IntArrayRef map, int64_t pooled_height, int64_t pooled_width)
      : batch(map[0]),
        channels(map[1]),
        height(map[2]),
        width(map[3]),
        pooled_height(static_cast<int>(pooled_height)),
        pooled_width(static_cast<int>(pooled_width)) {}

  int64_t pixels() const { return height * width; }
  int64_t bins() const { return int64_t{pooled_height} * pooled_width; }
};

// What is read next, and from where the hardware would not guess.
template <typename T>
void prefetch(const T* p, int64_t n) {
  for (int64_t i = 0; i < n; i += 64 / int64_t{sizeof(T)}) __builtin_prefetch(p + i);
}

// Whether enough is read of an NCHW map to lay its channels side by side first.
template <typename T>
bool worth_interleaving(std::span<const OrderedRoi> rois, const RoiShape& s) {
  int64_t read = 0;
  for (const OrderedRoi& roi : rois) read += roi.pixels;
  return read * 2 >= s.batch * s.pixels() &&
         s.pixels() * roi_block * int64_t{sizeof(acc_t<T>)} <= roi_buffer_bytes;
}

// pool(roi, pixels, row_stride, pixel_stride, channels, out, out_stride) writes `channels` channels
// of all bins of one RoI, bin b at out + b * out_stride. A multiple of 16 channels.
template <typename T, typename Pool>
void pool_channels_last(const T* input, std::span<const OrderedRoi> rois, const RoiShape& s,
                        T* output, Pool pool) {
  at::parallel_for(0, std::ssize(rois), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pool(rois[i], input + rois[i].image * s.pixels() * s.channels, s.width * s.channels,
           s.channels, s.channels, output + rois[i].index * s.bins() * s.channels, s.channels);
    }
  });
}

// The same with 16 channels at a time, in the type that the op computes in.
template <typename T, typename Pool>
void pool_nchw(const T* input, std::span<const OrderedRoi> rois, const RoiShape& s, T* output,
               Pool pool) {
  using Acc = acc_t<T>;
  const int64_t blocks = ceil_div(s.channels, roi_block);
  at::parallel_for(0, s.batch * blocks, 1, [&](int64_t begin, int64_t end) {
    const auto image_buffer = make_buffer<Acc>(s.pixels() * roi_block);
    const auto bin_buffer = make_buffer<Acc>(s.bins() * roi_block);
    for (int64_t job = begin; job < end; ++job) {
      const int64_t image = job / blocks, c = job % blocks * roi_block;
      const int here = static_cast<int>(std::min(roi_block, s.channels - c));
      const auto rois_here = of_image(rois, image);
      int64_t top = s.height, bottom = 0;
      for (const OrderedRoi& roi : rois_here) {
        top = std::min<int64_t>(top, roi.top);
        bottom = std::max<int64_t>(bottom, roi.bottom);
      }
      if (top < bottom) {
        FASTCV_ISA_CALL(interleave<T, Acc>)(
            input + (image * s.channels + c) * s.pixels() + top * s.width, s.pixels(), here,
            (bottom - top) * s.width, image_buffer.get() + top * s.width * roi_block);
      }
      for (const OrderedRoi& roi : rois_here) {
        pool(roi, static_cast<const Acc*>(image_buffer.get()), s.width * roi_block, roi_block,
             roi_block, bin_buffer.get(), roi_block);
        FASTCV_ISA_CALL(deinterleave<T, Acc>)(bin_buffer.get(), s.bins(), here, s.bins(),
                                              output + (roi.index * s.channels + c) * s.bins());
      }
    }
  });
}

// Bin (i, j) of one channel.
template <typename T>
acc_t<T> bin_mean(const T* pixels, int64_t row_stride, int64_t pixel_stride,
                  const RoiTaps<acc_t<T>>& taps, int i, int j) {
  acc_t<T> sum = 0;
  for (const auto* row = taps.row(i); row != taps.row(i + 1); ++row) {
    const T* line = pixels + row->pixel * row_stride;
    acc_t<T> inner = 0;
    for (const auto* column = taps.column(j); column != taps.column(j + 1); ++column) {
      inner += column->weight * static_cast<acc_t<T>>(line[column->pixel * pixel_stride]);
    }
    sum += row->weight * inner;
  }
  return sum / taps.divisor(i, j);
}

// Straight from the definition, a pixel at a time and with any strides: for few RoIs, for maps too
// large for the buffer, for numbers of channels that fill no vector. Bin (i, j) of output channel c
// reads channel channel_of(c, i, j).
template <typename T, typename ChannelOf>
void pool_plain(const at::Tensor& input, const RoiPlan<acc_t<T>>& plan, const at::Tensor& output,
                ChannelOf channel_of) {
  using Acc = acc_t<T>;
  const auto rois = plan.rois();
  const int64_t channels = output.size(1);
  const int height = static_cast<int>(output.size(2)), width = static_cast<int>(output.size(3));
  at::parallel_for(0, std::ssize(rois) * channels, 16, [&](int64_t begin, int64_t end) {
    for (int64_t job = begin; job < end; ++job) {
      const OrderedRoi& roi = rois[job / channels];
      const int64_t c = job % channels;
      const RoiTaps<Acc> taps = plan.taps(roi);
      const T* image = input.const_data_ptr<T>() + roi.image * input.stride(0);
      T* out = output.mutable_data_ptr<T>() + roi.index * output.stride(0) + c * output.stride(1);
      for (int i = 0; i < height; ++i) {
        for (int j = 0; j < width; ++j) {
          const T* in = image + channel_of(c, i, j) * input.stride(1);
          out[i * output.stride(2) + j * output.stride(3)] =
              static_cast<T>(bin_mean(in, input.stride(2), input.stride(3), taps, i, j));
        }
      }
    }
  });
}

// The transpose. scatter(roi, grad, grad_stride, channels, top, bottom, pixels, row_stride,
// pixel_stride) adds what the bins of one RoI give to rows [top, bottom), which begin at `pixels`.
// A job takes from the RoIs in their order, and nothing that it writes is another job's: the sums
// do not depend on the threads. `first`: grad_input has not been written yet.
template <typename T, typename Scatter>
void scatter_channels_last(const T* grad, std::span<const OrderedRoi> rois, const RoiShape& s,
                           bool first, T* grad_input, Scatter scatter) {
  using Acc = acc_t<T>;
  constexpr bool in_place = std::is_same_v<T, Acc>;
  const int64_t row = s.width * s.channels;
  const int64_t max_band = std::max<int64_t>(1, roi_buffer_bytes / (row * int64_t{sizeof(Acc)}));
  const int64_t band = std::min(max_band, ceil_div(s.height, 16)), bands = ceil_div(s.height, band);
  at::parallel_for(0, s.batch * bands, 1, [&](int64_t begin, int64_t end) {
    const auto buffer = make_buffer<Acc>(in_place ? 0 : band * row);
    for (int64_t job = begin; job < end; ++job) {
      const int64_t image = job / bands, top = job % bands * band;
      const int64_t bottom = std::min(top + band, s.height), n = (bottom - top) * row;
      T* out = grad_input + (image * s.height + top) * row;
      Acc* sums = buffer.get();
      if constexpr (in_place) sums = out;
      if (first) {
        std::fill_n(sums, n, Acc(0));
      } else if constexpr (!in_place) {
        std::copy_n(out, n, sums);
      }
      for (const OrderedRoi& roi : of_image(rois, image)) {
        if (roi.bottom <= top || roi.top >= bottom) continue;
        scatter(roi, grad + roi.index * s.bins() * s.channels, s.channels, s.channels, top, bottom,
                sums, row, s.channels);
      }
      if constexpr (!in_place) FASTCV_ISA_CALL(round_to<T, Acc>)(sums, n, out);
    }
  });
}

template <typename T, typename Scatter>
void scatter_nchw(const T* grad, std::span<const OrderedRoi> rois, const RoiShape& s, bool first,
                  T* grad_input, Scatter scatter) {
  using Acc = acc_t<T>;
  const int64_t max_band =
      std::max<int64_t>(1, roi_buffer_bytes / (s.width * roi_block * int64_t{sizeof(Acc)}));
  const int64_t band = std::min(max_band, s.height), bands = ceil_div(s.height, band);
  const int64_t blocks = ceil_div(s.channels, roi_block);
  at::parallel_for(0, s.batch * blocks * bands, 1, [&](int64_t begin, int64_t end) {
    const auto buffer = make_buffer<Acc>(band * s.width * roi_block);
    const auto bin_buffer = make_buffer<Acc>(s.bins() * roi_block);
    for (int64_t job = begin; job < end; ++job) {
      const int64_t image = job / (blocks * bands), c = job / bands % blocks * roi_block;
      const int here = static_cast<int>(std::min(roi_block, s.channels - c));
      const int64_t top = job % bands * band, bottom = std::min(top + band, s.height);
      const int64_t n = (bottom - top) * s.width;
      T* out = grad_input + (image * s.channels + c) * s.pixels() + top * s.width;
      if (first) {
        std::fill_n(buffer.get(), n * roi_block, Acc(0));
      } else {
        FASTCV_ISA_CALL(interleave<T, Acc>)(out, s.pixels(), here, n, buffer.get());
      }
      const auto gradient_of = [&](const OrderedRoi& roi) {
        return grad + (roi.index * s.channels + c) * s.bins();
      };
      const auto rois_here = of_image(rois, image);
      for (size_t i = 0; i < rois_here.size(); ++i) {
        const OrderedRoi& roi = rois_here[i];
        if (i + 1 < rois_here.size()) prefetch(gradient_of(rois_here[i + 1]), here * s.bins());
        if (roi.bottom <= top || roi.top >= bottom) continue;
        FASTCV_ISA_CALL(interleave<T, Acc>)(gradient_of(roi), s.bins(), here, s.bins(),
                                            bin_buffer.get());
        scatter(roi, static_cast<const Acc*>(bin_buffer.get()), roi_block, roi_block, top, bottom,
                buffer.get(), s.width * roi_block, roi_block);
      }
      FASTCV_ISA_CALL(deinterleave<T, Acc>)(buffer.get(), n, here, s.pixels(), out);
    }
  });
}

}  // namespace fastcv
