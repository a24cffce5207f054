// What does not depend on the device: schema and checks. The gradient is registered in
// fastcv/ops/roi.py: the op is linear in input, so its backward's backward is the op itself.
#include "ps_roi_pool/ps_roi_pool.h"

#include <torch/library.h>

#include "common/roi/roi.h"

namespace fastcv {

void check_ps_roi_pool(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                       int64_t pooled_height, int64_t pooled_width) {
  check_rois("ps_roi_pool", input, "input", rois, 5, "[K, 5]", spatial_scale, pooled_height,
             pooled_width);
  check_feature_map("ps_roi_pool", input.size(0), input.size(1), input.size(2), input.size(3));
  check_divisible("ps_roi_pool", input.size(1), pooled_height, pooled_width);
}

void check_ps_roi_pool_backward(const at::Tensor& grad, const at::Tensor& rois,
                                double spatial_scale, int64_t pooled_height, int64_t pooled_width,
                                int64_t batch, int64_t channels, int64_t height, int64_t width) {
  const char* op = "_ps_roi_pool_backward";
  check_rois(op, grad, "grad", rois, 5, "[K, 5]", spatial_scale, pooled_height, pooled_width);
  check_feature_map(op, batch, channels, height, width);
  check_divisible(op, channels, pooled_height, pooled_width);
  check_roi_grad(op, grad, rois, channels / (pooled_height * pooled_width), pooled_height,
                 pooled_width);
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "ps_roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
      "SymInt pooled_width) -> Tensor");
  m.def(
      "_ps_roi_pool_backward(Tensor grad, Tensor rois, float spatial_scale, SymInt pooled_height, "
      "SymInt pooled_width, SymInt batch_size, SymInt channels, SymInt height, SymInt width) -> "
      "Tensor");
}

}  // namespace fastcv
