// CPU launcher: the drivers of common/roi/roi_cpu.h with the rotated kernel.
#include <torch/library.h>

#include <algorithm>
#include <vector>

#include "common/host/dispatch.h"
#include "roi_align_rotated/pixel_tap.h"
#include "roi_align_rotated/roi_align_rotated.h"
#include "roi_align_rotated/rotated_roi.h"

#define FASTCV_CPU_KERNEL "roi_align_rotated/roi_align_rotated_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

#include "common/roi/roi_cpu.h"

namespace fastcv {
namespace {

// RoIs and the rows of the image they read.
template <typename T>
struct RotatedPlan {
  std::vector<RotatedRoi<T>> geometry;
  std::vector<OrderedRoi> order;

  RotatedPlan(const Rois<T>& rois, const RoiShape& s, const RoiAlignOptions& options) {
    for (int64_t k = 0; k < rois.count; ++k) {
      const T* r = rois.data + k * 6;
      const RotatedRoi<T> roi = rotated_roi(r + 1, options);
      const T half_w = -roi.columns.start, half_h = -roi.rows.start;
      const T reach = std::abs(roi.sin) * half_w + std::abs(roi.cos) * half_h;
      const T across = std::abs(roi.cos) * half_w + std::abs(roi.sin) * half_h;
      const bool empty = roi.rows.count == 0 || roi.columns.count == 0;
      const auto within = [&](T at, int64_t size) {  // reach is infinite for the largest RoIs
        return empty ? 0 : static_cast<int32_t>(std::clamp(at, T(0), static_cast<T>(size)));
      };
      geometry.push_back(roi);
      order.push_back({k, static_cast<int64_t>(r[0]), within(roi.cy - reach - 2, s.height),
                       within(roi.cy + reach + 3, s.height), within(roi.cx - across, s.width), 0});
    }
    put_in_order(order);
  }
};

at::Tensor roi_align_rotated_cpu(const at::Tensor& input, const at::Tensor& rois,
                                 double spatial_scale, int64_t pooled_height, int64_t pooled_width,
                                 int64_t sampling_ratio, bool aligned) {
  check_roi_align_rotated(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio);
  const RoiShape s(input.sizes(), pooled_height, pooled_width);
  const RoiAlignOptions options{spatial_scale, s.pooled_height, s.pooled_width,
                                static_cast<int>(sampling_ratio), aligned};
  const auto format = input.suggest_memory_format();
  // A pixel whose channels fill no vector goes the other way.
  const bool last = is_channels_last(input) && s.channels % roi_block == 0;
  const at::Tensor source =
      input.contiguous(last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  const at::Tensor output =
      empty_on_huge_pages(source, {rois.size(0), s.channels, pooled_height, pooled_width});
  dispatch_floating(input.scalar_type(), "roi_align_rotated", "input", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Rois<Acc> boxes("roi_align_rotated", rois, s.batch);
    if (output.numel() == 0) return;
    const RotatedPlan<Acc> plan(boxes, s, options);
    const auto pool = [&]<typename In, typename Out>(const OrderedRoi& roi, const In* pixels,
                                                     int64_t row_stride, int64_t pixel_stride,
                                                     int64_t channels, Out* bins, int64_t stride) {
      const auto sums = make_buffer<Acc>(channels);
      FASTCV_ISA_CALL(pool_rotated<Acc, In, Out>)(
          pixels, row_stride, pixel_stride, channels, plan.geometry[roi.index],
          static_cast<int>(s.height), static_cast<int>(s.width), sums.get(), bins, stride);
    };
    const std::span<const OrderedRoi> order = plan.order;
    T* out = output.mutable_data_ptr<T>();
    if (last) {
      pool_channels_last(source.const_data_ptr<T>(), order, s, out, pool);
    } else {
      pool_nchw(source.const_data_ptr<T>(), order, s, out, pool);
    }
  });
  return output.contiguous(format);
}

at::Tensor roi_align_rotated_backward_cpu(const at::Tensor& grad, const at::Tensor& rois,
                                          double spatial_scale, int64_t pooled_height,
                                          int64_t pooled_width, int64_t batch, int64_t channels,
                                          int64_t height, int64_t width, int64_t sampling_ratio,
                                          bool aligned) {
  check_roi_align_rotated_backward(grad, rois, spatial_scale, pooled_height, pooled_width,
                                   sampling_ratio, batch, channels, height, width);
  const RoiShape s({batch, channels, height, width}, pooled_height, pooled_width);
  const RoiAlignOptions options{spatial_scale, s.pooled_height, s.pooled_width,
                                static_cast<int>(sampling_ratio), aligned};
  const auto format = grad.suggest_memory_format();
  const bool last = is_channels_last(grad) && channels % roi_block == 0;
  const at::Tensor source =
      grad.contiguous(last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
  const at::Tensor grad_input = empty_on_huge_pages(source, {batch, channels, height, width});
  dispatch_floating(grad.scalar_type(), "_roi_align_rotated_backward", "grad", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Rois<Acc> boxes("_roi_align_rotated_backward", rois, batch);
    if (grad_input.numel() == 0) return;
    const RotatedPlan<Acc> plan(boxes, s, options);
    const auto scatter = [&]<typename In>(const OrderedRoi& roi, const In* bins, int64_t stride,
                                          int64_t channels, int64_t top, int64_t bottom,
                                          Acc* pixels, int64_t row_stride, int64_t pixel_stride) {
      FASTCV_ISA_CALL(scatter_rotated<Acc, In>)(
          bins, stride, channels, plan.geometry[roi.index], static_cast<int>(s.height),
          static_cast<int>(s.width), top, bottom, pixels, row_stride, pixel_stride);
    };
    const std::span<const OrderedRoi> order = plan.order;
    T* out = grad_input.mutable_data_ptr<T>();
    if (last) {
      scatter_channels_last(source.const_data_ptr<T>(), order, s, true, out, scatter);
    } else {
      scatter_nchw(source.const_data_ptr<T>(), order, s, true, out, scatter);
    }
  });
  return grad_input.contiguous(format);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("roi_align_rotated", roi_align_rotated_cpu);
  m.impl("_roi_align_rotated_backward", roi_align_rotated_backward_cpu);
}

}  // namespace fastcv
