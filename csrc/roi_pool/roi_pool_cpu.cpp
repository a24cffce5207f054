// CPU launcher, after the pattern of common/roi/roi_cpu.h: channels_last a RoI a job, NCHW 16
// channels.
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <limits>
#include <vector>

#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "roi_pool/pooled_roi.h"
#include "roi_pool/roi_pool.h"

#define FASTCV_CPU_KERNEL "roi_pool/roi_pool_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

#include "common/roi/roi_cpu.h"

namespace fastcv {
namespace {

// Where the search for a maximum begins.
template <typename T>
const acc_t<T> lowest = static_cast<acc_t<T>>(std::numeric_limits<T>::lowest());

// Windows of all RoIs: for each, its rows and then its columns.
struct WindowPlan {
  std::vector<OrderedRoi> rois;
  std::vector<Range> windows;
  int per_roi;

  template <typename T>
  WindowPlan(const Rois<T>& boxes, double spatial_scale, const RoiShape& s)
      : per_roi(s.pooled_height + s.pooled_width) {
    const int height = static_cast<int>(s.height), width = static_cast<int>(s.width);
    windows.reserve(boxes.count * per_roi);
    for (int64_t k = 0; k < boxes.count; ++k) {
      const T* r = boxes.data + k * 5;
      const auto roi = pooled_roi(r + 1, spatial_scale, s.pooled_height, s.pooled_width);
      for (int i = 0; i < s.pooled_height; ++i) windows.push_back(roi.rows.window(i, height));
      for (int j = 0; j < s.pooled_width; ++j) windows.push_back(roi.columns.window(j, width));
      const int top = rows(k)[0].begin, bottom = rows(k)[s.pooled_height - 1].end;
      const Range across = {columns(k, s)[0].begin, columns(k, s)[s.pooled_width - 1].end};
      rois.push_back({k, static_cast<int64_t>(r[0]), top, bottom, across.begin,
                      int64_t{bottom - top} * (across.end - across.begin)});
    }
    put_in_order(rois);
  }

  const Range* rows(int64_t roi) const { return windows.data() + roi * per_roi; }
  const Range* columns(int64_t roi, const RoiShape& s) const { return rows(roi) + s.pooled_height; }
};

template <typename T>
void pool_channels_last(const T* input, const WindowPlan& plan, const RoiShape& s, T* output,
                        int32_t* argmax) {
  pool_channels_last(input, std::span<const OrderedRoi>(plan.rois), s, output,
                     [&](const OrderedRoi& roi, const T* pixels, int64_t row_stride,
                         int64_t pixel_stride, int64_t channels, T* bins, int64_t stride) {
                       FASTCV_ISA_CALL(max_roi<acc_t<T>, T, T>)(
                           pixels, row_stride, pixel_stride, channels, plan.rows(roi.index),
                           s.pooled_height, plan.columns(roi.index, s), s.pooled_width, s.width,
                           lowest<T>, bins, argmax + (bins - output), stride);
                     });
}

template <typename T>
void pool_nchw(const T* input, const WindowPlan& plan, const RoiShape& s, T* output,
               int32_t* argmax) {
  using Acc = acc_t<T>;
  const int64_t blocks = ceil_div(s.channels, roi_block);
  at::parallel_for(0, s.batch * blocks, 1, [&](int64_t begin, int64_t end) {
    const auto image_buffer = make_buffer<Acc>(s.pixels() * roi_block);
    const auto bin_buffer = make_buffer<Acc>(s.bins() * roi_block);
    const auto argmax_buffer = make_buffer<int32_t>(s.bins() * roi_block);
    for (int64_t job = begin; job < end; ++job) {
      const int64_t image = job / blocks, c = job % blocks * roi_block;
      const int here = static_cast<int>(std::min(roi_block, s.channels - c));
      const auto rois = of_image(plan.rois, image);
      if (rois.empty()) continue;
      FASTCV_ISA_CALL(interleave<T, Acc>)(input + (image * s.channels + c) * s.pixels(), s.pixels(),
                                          here, s.pixels(), image_buffer.get());
      for (const OrderedRoi& roi : rois) {
        FASTCV_ISA_CALL(max_roi<Acc, Acc, Acc>)(
            image_buffer.get(), s.width * roi_block, roi_block, roi_block, plan.rows(roi.index),
            s.pooled_height, plan.columns(roi.index, s), s.pooled_width, s.width, lowest<T>,
            bin_buffer.get(), argmax_buffer.get(), roi_block);
        const int64_t first = (roi.index * s.channels + c) * s.bins();
        FASTCV_ISA_CALL(deinterleave<T, Acc>)(bin_buffer.get(), s.bins(), here, s.bins(),
                                              output + first);
        FASTCV_ISA_CALL(deinterleave<int32_t, int32_t>)(argmax_buffer.get(), s.bins(), here,
                                                        s.bins(), argmax + first);
      }
    }
  });
}

// A pixel at a time, any strides.
template <typename T>
void pool_plain(const at::Tensor& input, const WindowPlan& plan, const RoiShape& s,
                const at::Tensor& output, const at::Tensor& argmax) {
  using Acc = acc_t<T>;
  at::parallel_for(0, std::ssize(plan.rois) * s.channels, 16, [&](int64_t begin, int64_t end) {
    for (int64_t job = begin; job < end; ++job) {
      const OrderedRoi& roi = plan.rois[job / s.channels];
      const int64_t c = job % s.channels;
      const T* in = input.const_data_ptr<T>() + roi.image * input.stride(0) + c * input.stride(1);
      const int64_t first = roi.index * output.stride(0) + c * output.stride(1);
      for (int i = 0; i < s.pooled_height; ++i) {
        for (int j = 0; j < s.pooled_width; ++j) {
          const Range ys = plan.rows(roi.index)[i], xs = plan.columns(roi.index, s)[j];
          const bool empty = ys.begin >= ys.end || xs.begin >= xs.end;
          Acc best = empty ? Acc(0) : lowest<T>;
          int32_t at = -1;
          for (int y = ys.begin; y < ys.end; ++y) {
            for (int x = xs.begin; x < xs.end; ++x) {
              const Acc v = static_cast<Acc>(in[y * input.stride(2) + x * input.stride(3)]);
              if (v > best) best = v, at = static_cast<int32_t>(y * s.width + x);
            }
          }
          const int64_t bin = first + i * output.stride(2) + j * output.stride(3);
          output.mutable_data_ptr<T>()[bin] = static_cast<T>(best);
          argmax.mutable_data_ptr<int32_t>()[bin] = at;
        }
      }
    }
  });
}

std::tuple<at::Tensor, at::Tensor> roi_pool_cpu(const at::Tensor& input, const at::Tensor& rois,
                                                double spatial_scale, int64_t pooled_height,
                                                int64_t pooled_width) {
  check_roi_pool(input, rois, spatial_scale, pooled_height, pooled_width);
  const RoiShape s(input.sizes(), pooled_height, pooled_width);
  const at::Tensor output =
      empty_on_huge_pages(input, {rois.size(0), s.channels, pooled_height, pooled_width});
  const at::Tensor argmax = at::empty_like(output, output.options().dtype(at::kInt));
  advise_huge_pages(argmax.const_data_ptr(), argmax.nbytes());
  dispatch_floating(input.scalar_type(), "roi_pool", "input", [&]<typename T>() {
    const Rois<acc_t<T>> boxes("roi_pool", rois, s.batch);
    if (output.numel() == 0) return;
    const WindowPlan plan(boxes, spatial_scale, s);
    T* out = output.mutable_data_ptr<T>();
    int32_t* at = argmax.mutable_data_ptr<int32_t>();
    if (is_channels_last(input) && s.channels % roi_block == 0) {
      const at::Tensor source = input.contiguous(at::MemoryFormat::ChannelsLast);
      pool_channels_last(source.const_data_ptr<T>(), plan, s, out, at);
    } else if (!is_channels_last(input) && worth_interleaving<T>(plan.rois, s)) {
      pool_nchw(input.contiguous().const_data_ptr<T>(), plan, s, out, at);
    } else {
      pool_plain<T>(input, plan, s, output, argmax);
    }
  });
  return {output, argmax};
}

// A plane of the image a job, RoIs along strips of it, where they find each other's pixels cached.
at::Tensor roi_pool_backward_cpu(const at::Tensor& grad, const at::Tensor& rois,
                                 const at::Tensor& argmax, double spatial_scale, int64_t batch,
                                 int64_t channels, int64_t height, int64_t width) {
  check_roi_pool_backward(grad, rois, argmax, spatial_scale, batch, channels, height, width);
  const auto format = grad.suggest_memory_format();
  const at::Tensor g = grad.contiguous(), a = argmax.contiguous();
  const at::Tensor grad_input = at::empty({batch, channels, height, width}, grad.options());
  advise_huge_pages(grad_input.const_data_ptr(), grad_input.nbytes());
  const int64_t pixels = height * width, bins = grad.size(2) * grad.size(3);
  dispatch_floating(grad.scalar_type(), "_roi_pool_backward", "grad", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Rois<Acc> boxes("_roi_pool_backward", rois, batch);
    if (grad_input.numel() == 0) return;
    constexpr bool in_place = std::is_same_v<T, Acc>;
    const WindowPlan plan(boxes, spatial_scale,
                          RoiShape(grad_input.sizes(), grad.size(2), grad.size(3)));
    const T* const gradients = g.const_data_ptr<T>();
    const int32_t* const maxima = a.const_data_ptr<int32_t>();
    at::parallel_for(0, batch * channels, 1, [&](int64_t begin, int64_t end) {
      const auto buffer = make_buffer<Acc>(in_place ? 0 : pixels);
      for (int64_t job = begin; job < end; ++job) {
        const int64_t image = job / channels, c = job % channels;
        T* out = grad_input.mutable_data_ptr<T>() + job * pixels;
        Acc* sums = buffer.get();
        if constexpr (in_place) sums = out;
        std::fill_n(sums, pixels, Acc(0));
        for (const OrderedRoi& roi : of_image(plan.rois, image)) {
          const int64_t first = (roi.index * channels + c) * bins;
          const T* from = gradients + first;
          const int32_t* to = maxima + first;
          for (int64_t b = 0; b < bins; ++b) {
            TORCH_CHECK(to[b] < pixels,
                        "_roi_pool_backward: argmax must be below height * width = ", pixels,
                        ", got ", to[b]);
            if (to[b] >= 0) sums[to[b]] += static_cast<Acc>(from[b]);
          }
        }
        if constexpr (!in_place) FASTCV_ISA_CALL(round_to<T, Acc>)(sums, pixels, out);
      }
    });
  });
  return grad_input.contiguous(format);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("roi_pool", roi_pool_cpu);
  m.impl("_roi_pool_backward", roi_pool_backward_cpu);
}

}  // namespace fastcv
