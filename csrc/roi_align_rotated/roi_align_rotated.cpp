// What does not depend on the device: schema and checks. The gradient is registered in
// fastcv/ops/roi.py: the op is linear in input, so its backward's backward is the op itself.
#include "roi_align_rotated/roi_align_rotated.h"

#include <torch/library.h>

#include "common/roi/roi.h"

namespace fastcv {

void check_roi_align_rotated(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                             int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio) {
  check_rois("roi_align_rotated", input, "input", rois, 6, "[K, 6]", spatial_scale, pooled_height,
             pooled_width);
  check_sampling_ratio("roi_align_rotated", sampling_ratio);
  check_feature_map("roi_align_rotated", input.size(0), input.size(1), input.size(2),
                    input.size(3));
}

void check_roi_align_rotated_backward(const at::Tensor& grad, const at::Tensor& rois,
                                      double spatial_scale, int64_t pooled_height,
                                      int64_t pooled_width, int64_t sampling_ratio, int64_t batch,
                                      int64_t channels, int64_t height, int64_t width) {
  const char* op = "_roi_align_rotated_backward";
  check_rois(op, grad, "grad", rois, 6, "[K, 6]", spatial_scale, pooled_height, pooled_width);
  check_sampling_ratio(op, sampling_ratio);
  check_feature_map(op, batch, channels, height, width);
  check_roi_grad(op, grad, rois, channels, pooled_height, pooled_width);
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "roi_align_rotated(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
      "SymInt pooled_width, int sampling_ratio, bool aligned) -> Tensor");
  m.def(
      "_roi_align_rotated_backward(Tensor grad, Tensor rois, float spatial_scale, SymInt "
      "pooled_height, "
      "SymInt pooled_width, SymInt batch_size, SymInt channels, SymInt height, SymInt width, "
      "int sampling_ratio, bool aligned) -> Tensor");
}

}  // namespace fastcv
