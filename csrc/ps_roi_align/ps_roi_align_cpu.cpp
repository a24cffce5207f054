// CPU launcher: taps worked out ahead, then the loops of common/roi/ps_roi_cpu.h.
#include <torch/library.h>

#include "common/host/dispatch.h"
#include "common/roi/aligned_roi.h"
#include "common/roi/roi_plan.h"
#include "ps_roi_align/ps_roi_align.h"

#define FASTCV_CPU_KERNEL "common/cpu/no_kernel.h"
#include "common/cpu/foreach_isa.h"

#include "common/roi/ps_roi_cpu.h"

namespace fastcv {

namespace {

at::Tensor ps_roi_align_cpu(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                            int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio) {
  check_ps_roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio);
  const RoiShape s(input.sizes(), pooled_height, pooled_width);
  const RoiAlignOptions options{spatial_scale, s.pooled_height, s.pooled_width,
                                static_cast<int>(sampling_ratio), true};
  const auto plan_from = [&]<typename T>(const Rois<T>& boxes, int64_t begin) {
    return RoiPlan<T>(boxes.data, begin, boxes.count, static_cast<int>(s.height),
                      static_cast<int>(s.width),
                      [&](const T* corners) { return aligned_roi(corners, options); });
  };
  return pool_position_sensitive("ps_roi_align", input, rois, s, plan_from);
}

at::Tensor ps_roi_align_backward_cpu(const at::Tensor& grad, const at::Tensor& rois,
                                     double spatial_scale, int64_t pooled_height,
                                     int64_t pooled_width, int64_t batch, int64_t channels,
                                     int64_t height, int64_t width, int64_t sampling_ratio) {
  check_ps_roi_align_backward(grad, rois, spatial_scale, pooled_height, pooled_width,
                              sampling_ratio, batch, channels, height, width);
  const RoiShape s({batch, channels, height, width}, pooled_height, pooled_width);
  const RoiAlignOptions options{spatial_scale, s.pooled_height, s.pooled_width,
                                static_cast<int>(sampling_ratio), true};
  const auto plan_from = [&]<typename T>(const Rois<T>& boxes, int64_t begin) {
    return RoiPlan<T>(boxes.data, begin, boxes.count, static_cast<int>(s.height),
                      static_cast<int>(s.width),
                      [&](const T* corners) { return aligned_roi(corners, options); });
  };
  return scatter_position_sensitive("_ps_roi_align_backward", grad, rois, s, plan_from);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("ps_roi_align", ps_roi_align_cpu);
  m.impl("_ps_roi_align_backward", ps_roi_align_backward_cpu);
}

}  // namespace fastcv
