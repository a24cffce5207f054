// CPU launcher: taps worked out ahead, then the drivers of common/roi/roi_cpu.h.
#include <torch/library.h>

#include "common/host/dispatch.h"
#include "common/roi/aligned_roi.h"
#include "roi_align/roi_align.h"

#include "common/roi/roi_plan.h"

#define FASTCV_CPU_KERNEL "roi_align/roi_align_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"
#include "common/roi/roi_cpu.h"

namespace fastcv {
namespace {

template <typename T>
RoiPlan<T> plan_from(const Rois<T>& rois, int64_t begin, const RoiShape& s,
                     const RoiAlignOptions& options) {
  return RoiPlan<T>(rois.data, begin, rois.count, static_cast<int>(s.height),
                    static_cast<int>(s.width),
                    [&](const T* corners) { return aligned_roi(corners, options); });
}

at::Tensor roi_align_cpu(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                         int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio,
                         bool aligned) {
  check_roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio);
  const RoiShape s(input.sizes(), pooled_height, pooled_width);
  const RoiAlignOptions options{spatial_scale, s.pooled_height, s.pooled_width,
                                static_cast<int>(sampling_ratio), aligned};
  const at::Tensor output =
      empty_on_huge_pages(input, {rois.size(0), s.channels, pooled_height, pooled_width});
  dispatch_floating(input.scalar_type(), "roi_align", "input", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Rois<Acc> boxes("roi_align", rois, s.batch);
    if (output.numel() == 0) return;
    T* out = output.mutable_data_ptr<T>();
    for (int64_t k = 0; k < boxes.count;) {
      const RoiPlan<Acc> plan = plan_from(boxes, k, s, options);
      k = plan.end();
      const auto pool = [&]<typename In, typename Out>(
                            const OrderedRoi& roi, const In* pixels, int64_t row_stride,
                            int64_t pixel_stride, int64_t channels, Out* bins, int64_t stride) {
        FASTCV_ISA_CALL(pool_roi<Acc, In, Out>)(pixels, row_stride, pixel_stride, channels,
                                                plan.taps(roi), s.pooled_height, s.pooled_width,
                                                bins, stride);
      };
      if (is_channels_last(input) && s.channels % roi_block == 0) {
        const at::Tensor source = input.contiguous(at::MemoryFormat::ChannelsLast);
        pool_channels_last(source.const_data_ptr<T>(), plan.rois(), s, out, pool);
      } else if (!is_channels_last(input) && worth_interleaving<T>(plan.rois(), s)) {
        pool_nchw(input.contiguous().const_data_ptr<T>(), plan.rois(), s, out, pool);
      } else {
        pool_plain<T>(input, plan, output, [](int64_t c, int, int) { return c; });
      }
    }
  });
  return output;
}

at::Tensor roi_align_backward_cpu(const at::Tensor& grad, const at::Tensor& rois,
                                  double spatial_scale, int64_t pooled_height, int64_t pooled_width,
                                  int64_t batch, int64_t channels, int64_t height, int64_t width,
                                  int64_t sampling_ratio, bool aligned) {
  check_roi_align_backward(grad, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio,
                           batch, channels, height, width);
  const RoiShape s({batch, channels, height, width}, pooled_height, pooled_width);
  const RoiAlignOptions options{spatial_scale, s.pooled_height, s.pooled_width,
                                static_cast<int>(sampling_ratio), aligned};
  const auto format = grad.suggest_memory_format();
  // A pixel whose channels fill no vector goes the other way.
  const bool last = is_channels_last(grad) && channels % roi_block == 0;
  const at::Tensor source =
      grad.contiguous(last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  const at::Tensor grad_input = empty_on_huge_pages(source, {batch, channels, height, width});
  dispatch_floating(grad.scalar_type(), "_roi_align_backward", "grad", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Rois<Acc> boxes("_roi_align_backward", rois, batch);
    if (grad_input.numel() == 0) return;
    const T* g = source.const_data_ptr<T>();
    T* out = grad_input.mutable_data_ptr<T>();
    int64_t k = 0;
    do {
      const RoiPlan<Acc> plan = plan_from(boxes, k, s, options);
      const auto scatter = [&]<typename In>(const OrderedRoi& roi, const In* bins, int64_t stride,
                                            int64_t channels, int64_t top, int64_t bottom,
                                            Acc* pixels, int64_t row_stride, int64_t pixel_stride) {
        FASTCV_ISA_CALL(scatter_roi<Acc, In>)(
            bins, stride, channels, plan.taps(roi), s.pooled_height, s.pooled_width,
            static_cast<int32_t>(top), static_cast<int32_t>(bottom), pixels, row_stride,
            pixel_stride);
      };
      if (last) {
        scatter_channels_last(g, plan.rois(), s, k == 0, out, scatter);
      } else {
        scatter_nchw(g, plan.rois(), s, k == 0, out, scatter);
      }
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
