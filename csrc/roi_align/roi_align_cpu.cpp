// CPU launcher. channels_last: a RoI a job, all its channels at once. NCHW: an image's block of 16
// channels a job, laid side by side in a buffer first, so that both run the same kernel.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "common/dispatch.h"
#include "common/huge_pages.h"
#include "common/order.h"
#include "common/roi.h"
#include "roi_align/roi_align.h"
#include "roi_align/roi_plan.h"

#define FASTCV_CPU_KERNEL "roi_align/roi_align_cpu_kernel.h"
#include "common/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t block = isa_portable::block_channels;
constexpr int64_t buffer_bytes = int64_t{24} << 20;

template <typename T>
using acc_t = std::conditional_t<sizeof(T) == 8, double, float>;

template <typename T>
struct Rois {
  at::Tensor dense;  // keeps the data alive
  const T* data;
  int64_t count;

  Rois(const char* op, const at::Tensor& rois, int64_t batch)
      : dense(rois.to(c10::CppTypeToScalarType<T>::value).contiguous()),
        data(dense.template const_data_ptr<T>()),
        count(rois.size(0)) {
    check_batch_index(op, data, count, 5, batch);
  }
};

bool is_channels_last(const at::Tensor& t) {
  return t.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
}

// [n, c, h, w] in a memory format.
at::Tensor empty_like_format(const at::Tensor& like, at::IntArrayRef shape) {
  at::Tensor t = at::empty(shape, like.options(), like.suggest_memory_format());
  advise_huge_pages(t);
  return t;
}

template <typename T>
void forward_channels_last(const T* input, const RoiPlan<acc_t<T>>& plan, int64_t channels,
                           int64_t height, int64_t width, const RoiAlignOptions& o, T* output) {
  const auto rois = plan.rois();
  const int64_t bins = int64_t{o.pooled_height} * o.pooled_width;
  at::parallel_for(0, std::ssize(rois), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      FASTCV_ISA_CALL(pool_roi<acc_t<T>, T, T>)(input + rois[i].image * height * width * channels,
                                                width * channels, channels, channels,
                                                plan.taps(rois[i]), o.pooled_height, o.pooled_width,
                                                output + rois[i].index * bins * channels, channels);
    }
  });
}

template <typename T>
void forward_nchw(const T* input, const RoiPlan<acc_t<T>>& plan, int64_t batch, int64_t channels,
                  int64_t height, int64_t width, const RoiAlignOptions& o, T* output) {
  using Acc = acc_t<T>;
  const int64_t pixels = height * width, bins = int64_t{o.pooled_height} * o.pooled_width;
  const int64_t blocks = (channels + block - 1) / block;
  at::parallel_for(0, batch * blocks, 1, [&](int64_t begin, int64_t end) {
    const auto image_buffer = make_buffer<Acc>(pixels * block);
    const auto bin_buffer = make_buffer<Acc>(bins * block);
    for (int64_t job = begin; job < end; ++job) {
      const int64_t image = job / blocks, c = job % blocks * block;
      const int here = static_cast<int>(std::min(block, channels - c));
      const auto rois = plan.of_image(image);
      int64_t top = height, bottom = 0;
      for (const auto& roi : rois) {
        top = std::min<int64_t>(top, roi.top);
        bottom = std::max<int64_t>(bottom, roi.bottom);
      }
      if (top < bottom) {
        FASTCV_ISA_CALL(interleave<T, Acc>)(input + (image * channels + c) * pixels + top * width,
                                            pixels, here, (bottom - top) * width,
                                            image_buffer.get() + top * width * block);
      }
      for (const auto& roi : rois) {
        FASTCV_ISA_CALL(pool_roi<Acc, Acc, Acc>)(image_buffer.get(), width * block, block, block,
                                                 plan.taps(roi), o.pooled_height, o.pooled_width,
                                                 bin_buffer.get(), block);
        FASTCV_ISA_CALL(deinterleave<T, Acc>)(bin_buffer.get(), bins, here, bins,
                                              output + (roi.index * channels + c) * bins);
      }
    }
  });
}

// Straight from the definition, a pixel at a time: for few RoIs, for maps too large for the buffer,
// and for numbers of channels that fill no vector.
template <typename T>
void forward_plain(const at::Tensor& input, const RoiPlan<acc_t<T>>& plan, const RoiAlignOptions& o,
                   const at::Tensor& output) {
  using Acc = acc_t<T>;
  const auto rois = plan.rois();
  const int64_t channels = input.size(1);
  at::parallel_for(0, std::ssize(rois) * channels, 16, [&](int64_t begin, int64_t end) {
    for (int64_t job = begin; job < end; ++job) {
      const auto& roi = rois[job / channels];
      const int64_t c = job % channels;
      const RoiTaps<Acc> taps = plan.taps(roi);
      const T* in = input.const_data_ptr<T>() + roi.image * input.stride(0) + c * input.stride(1);
      T* out = output.mutable_data_ptr<T>() + roi.index * output.stride(0) + c * output.stride(1);
      for (int ph = 0; ph < o.pooled_height; ++ph) {
        for (int pw = 0; pw < o.pooled_width; ++pw) {
          Acc sum = 0;
          for (const auto* row = taps.row(ph); row != taps.row(ph + 1); ++row) {
            const T* line = in + row->pixel * input.stride(2);
            Acc inner = 0;
            for (const auto* column = taps.column(pw); column != taps.column(pw + 1); ++column) {
              inner += column->weight * static_cast<Acc>(line[column->pixel * input.stride(3)]);
            }
            sum += row->weight * inner;
          }
          out[ph * output.stride(2) + pw * output.stride(3)] =
              static_cast<T>(sum * taps.per_sample);
        }
      }
    }
  });
}

at::Tensor roi_align_cpu(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                         int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio,
                         bool aligned) {
  check_roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio);
  const int64_t batch = input.size(0), channels = input.size(1), height = input.size(2),
                width = input.size(3);
  const RoiAlignOptions options{spatial_scale, static_cast<int>(pooled_height),
                                static_cast<int>(pooled_width), static_cast<int>(sampling_ratio),
                                aligned};
  const bool last = is_channels_last(input);
  const at::Tensor output =
      empty_like_format(input, {rois.size(0), channels, pooled_height, pooled_width});
  dispatch_floating(input.scalar_type(), "roi_align", "input", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Rois<Acc> boxes("roi_align", rois, batch);
    if (output.numel() == 0) return;
    for (int64_t k = 0; k < boxes.count;) {
      const RoiPlan<Acc> plan(boxes.data, k, boxes.count, options, static_cast<int>(height),
                              static_cast<int>(width));
      k = plan.end();
      int64_t read = 0;
      for (const auto& roi : plan.rois()) read += roi.pixels;
      const bool dense = last ? channels % block == 0
                              : read * 2 >= batch * height * width &&
                                    height * width * block * int64_t{sizeof(Acc)} <= buffer_bytes;
      if (!dense) {
        forward_plain<T>(input, plan, options, output);
        continue;
      }
      const at::Tensor source = input.contiguous(input.suggest_memory_format());
      if (last) {
        forward_channels_last(source.const_data_ptr<T>(), plan, channels, height, width, options,
                              output.mutable_data_ptr<T>());
      } else {
        forward_nchw(source.const_data_ptr<T>(), plan, batch, channels, height, width, options,
                     output.mutable_data_ptr<T>());
      }
    }
  });
  return output;
}

// A job is a band of rows of an image with a block of its channels. It takes from the RoIs in their
// order, and nothing that it writes is another job's: the sums do not depend on the threads.
template <typename T>
struct BackwardJobs {
  using Acc = acc_t<T>;
  const T* grad;
  const RoiPlan<Acc>& plan;
  int64_t channels, height, width;
  const RoiAlignOptions& options;
  bool first;  // of the plans: nothing has been written yet
  T* grad_input;

  int64_t bins() const { return int64_t{options.pooled_height} * options.pooled_width; }

  void channels_last(int64_t image, int64_t top, int64_t bottom, Acc* buffer) const {
    const int64_t row = width * channels, n = (bottom - top) * row;
    T* out = grad_input + (image * height + top) * row;
    Acc* sums = buffer;
    if constexpr (std::is_same_v<T, Acc>) sums = out;
    if (first) {
      std::fill_n(sums, n, Acc(0));
    } else if constexpr (!std::is_same_v<T, Acc>) {
      std::copy_n(out, n, sums);
    }
    for (const auto& roi : plan.of_image(image)) {
      if (roi.bottom <= top || roi.top >= bottom) continue;
      FASTCV_ISA_CALL(scatter_roi<Acc, T>)(grad + roi.index * bins() * channels, channels, channels,
                                           plan.taps(roi), options.pooled_height,
                                           options.pooled_width, static_cast<int32_t>(top),
                                           static_cast<int32_t>(bottom), sums, row, channels);
    }
    if constexpr (!std::is_same_v<T, Acc>) FASTCV_ISA_CALL(round_to<T, Acc>)(sums, n, out);
  }

  void nchw(int64_t image, int64_t c, int64_t top, int64_t bottom, Acc* buffer,
            Acc* bin_buffer) const {
    const int here = static_cast<int>(std::min(block, channels - c));
    const int64_t pixels = height * width, n = (bottom - top) * width;
    T* out = grad_input + (image * channels + c) * pixels + top * width;
    if (first) {
      std::fill_n(buffer, n * block, Acc(0));
    } else {
      FASTCV_ISA_CALL(interleave<T, Acc>)(out, pixels, here, n, buffer);
    }
    for (const auto& roi : plan.of_image(image)) {
      if (roi.bottom <= top || roi.top >= bottom) continue;
      FASTCV_ISA_CALL(interleave<T, Acc>)(grad + (roi.index * channels + c) * bins(), bins(), here,
                                          bins(), bin_buffer);
      FASTCV_ISA_CALL(scatter_roi<Acc, Acc>)(
          bin_buffer, block, block, plan.taps(roi), options.pooled_height, options.pooled_width,
          static_cast<int32_t>(top), static_cast<int32_t>(bottom), buffer, width * block, block);
    }
    FASTCV_ISA_CALL(deinterleave<T, Acc>)(buffer, n, here, pixels, out);
  }
};

template <typename T>
void backward(const BackwardJobs<T>& jobs, int64_t batch, bool last) {
  using Acc = acc_t<T>;
  const int64_t pixel = last ? jobs.channels : block;
  const int64_t most = std::max<int64_t>(1, buffer_bytes / (jobs.width * pixel * sizeof(Acc)));
  const int64_t even = last ? (jobs.height + 15) / 16 : jobs.height;  // bands, for the threads
  const int64_t band = std::min(most, even), bands = (jobs.height + band - 1) / band;
  const int64_t blocks = last ? 1 : (jobs.channels + block - 1) / block;
  const bool buffered = !last || !std::is_same_v<T, Acc>;
  at::parallel_for(0, batch * blocks * bands, 1, [&](int64_t begin, int64_t end) {
    const auto buffer = make_buffer<Acc>(buffered ? band * jobs.width * pixel : 0);
    const auto bin_buffer = make_buffer<Acc>(last ? 0 : jobs.bins() * block);
    for (int64_t job = begin; job < end; ++job) {
      const int64_t image = job / (blocks * bands), c = job / bands % blocks * block;
      const int64_t top = job % bands * band, bottom = std::min(top + band, jobs.height);
      if (last) {
        jobs.channels_last(image, top, bottom, buffer.get());
      } else {
        jobs.nchw(image, c, top, bottom, buffer.get(), bin_buffer.get());
      }
    }
  });
}

at::Tensor roi_align_backward_cpu(const at::Tensor& grad, const at::Tensor& rois,
                                  double spatial_scale, int64_t pooled_height, int64_t pooled_width,
                                  int64_t batch, int64_t channels, int64_t height, int64_t width,
                                  int64_t sampling_ratio, bool aligned) {
  check_roi_align_backward(grad, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio,
                           batch, channels, height, width);
  const RoiAlignOptions options{spatial_scale, static_cast<int>(pooled_height),
                                static_cast<int>(pooled_width), static_cast<int>(sampling_ratio),
                                aligned};
  const auto format = grad.suggest_memory_format();
  // A pixel whose channels fill no vector goes the other way.
  const bool last = format == at::MemoryFormat::ChannelsLast && channels % block == 0;
  const at::Tensor source =
      grad.contiguous(last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  const at::Tensor grad_input = empty_like_format(source, {batch, channels, height, width});
  dispatch_floating(grad.scalar_type(), "_roi_align_backward", "grad", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Rois<Acc> boxes("_roi_align_backward", rois, batch);
    if (grad_input.numel() == 0) return;
    int64_t k = 0;
    do {
      const RoiPlan<Acc> plan(boxes.data, k, boxes.count, options, static_cast<int>(height),
                              static_cast<int>(width));
      const BackwardJobs<T> jobs{
          source.const_data_ptr<T>(),      plan, channels, height, width, options, k == 0,
          grad_input.mutable_data_ptr<T>()};
      backward(jobs, batch, last);
      k = plan.end();
    } while (k < boxes.count);
  });
  return grad_input.contiguous(format);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("roi_align", roi_align_cpu);
  m.impl("_roi_align_backward", roi_align_backward_cpu);
}

}  // namespace fastcv
