// CPU launcher: taps worked out ahead, then the loops of common/roi/ps_roi_cpu.h.
#include <torch/library.h>

#include "common/host/dispatch.h"
#include "common/roi/roi_plan.h"
#include "ps_roi_pool/averaged_roi.h"
#include "ps_roi_pool/ps_roi_pool.h"

#define FASTCV_CPU_KERNEL "common/cpu/no_kernel.h"
#include "common/cpu/foreach_isa.h"

#include "common/roi/ps_roi_cpu.h"

namespace fastcv {

// Every pixel of a window weighs the same.
template <typename T>
void append_taps(const AveragedAxis<T>& axis, int p, int size, std::vector<Tap<T>>& taps) {
  const Range window = axis.window(p, size);
  for (int i = window.begin; i < window.end; ++i) taps.push_back({i, T(1)});
}

namespace {

template <typename T>
RoiPlan<T> plan_from(const Rois<T>& rois, int64_t begin, const RoiShape& s, double spatial_scale) {
  return RoiPlan<T>(rois.data, begin, rois.count, static_cast<int>(s.height),
                    static_cast<int>(s.width), [&](const T* corners) {
                      auto roi =
                          averaged_roi(corners, spatial_scale, s.pooled_height, s.pooled_width);
                      roi.per_sample = 0;  // the mean of the taps
                      return roi;
                    });
}

at::Tensor ps_roi_pool_cpu(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                           int64_t pooled_height, int64_t pooled_width) {
  check_ps_roi_pool(input, rois, spatial_scale, pooled_height, pooled_width);
  const RoiShape s(input.sizes(), pooled_height, pooled_width);

  return pool_position_sensitive("ps_roi_pool", input, rois, s, [&](const auto& boxes, int64_t k) {
    return plan_from(boxes, k, s, spatial_scale);
  });
}

at::Tensor ps_roi_pool_backward_cpu(const at::Tensor& grad, const at::Tensor& rois,
                                    double spatial_scale, int64_t pooled_height,
                                    int64_t pooled_width, int64_t batch, int64_t channels,
                                    int64_t height, int64_t width) {
  check_ps_roi_pool_backward(grad, rois, spatial_scale, pooled_height, pooled_width, batch,
                             channels, height, width);
  const RoiShape s({batch, channels, height, width}, pooled_height, pooled_width);

  return scatter_position_sensitive(
      "_ps_roi_pool_backward", grad, rois, s,
      [&](const auto& boxes, int64_t k) { return plan_from(boxes, k, s, spatial_scale); });
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("ps_roi_pool", ps_roi_pool_cpu);
  m.impl("_ps_roi_pool_backward", ps_roi_pool_backward_cpu);
}

}  // namespace fastcv
