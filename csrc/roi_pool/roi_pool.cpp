// What does not depend on the device: schema and checks. The gradient is registered in
// fastcv/ops/roi.py.
#include "roi_pool/roi_pool.h"

#include <torch/library.h>

#include "common/roi/roi.h"

namespace fastcv {

void check_roi_pool(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                    int64_t pooled_height, int64_t pooled_width) {
  check_rois("roi_pool", input, "input", rois, 5, "[K, 5]", spatial_scale, pooled_height,
             pooled_width);
  check_feature_map("roi_pool", input.size(0), input.size(1), input.size(2), input.size(3));
}

void check_roi_pool_backward(const at::Tensor& grad, const at::Tensor& rois,
                             const at::Tensor& argmax, double spatial_scale, int64_t batch,
                             int64_t channels, int64_t height, int64_t width) {
  const char* op = "_roi_pool_backward";
  TORCH_CHECK(grad.dim() == 4, op, ": grad must have 4 dimensions, got shape ", grad.sizes());
  check_rois(op, grad, "grad", rois, 5, "[K, 5]", spatial_scale, grad.size(2), grad.size(3));
  check_feature_map(op, batch, channels, height, width);
  check_roi_grad(op, grad, rois, channels, grad.size(2), grad.size(3));
  TORCH_CHECK(argmax.sizes() == grad.sizes() && argmax.scalar_type() == at::kInt, op,
              ": argmax must be int32 with the shape of grad, ", grad.sizes(), ", got ",
              argmax.scalar_type(), " ", argmax.sizes());
  check_same_device(op, grad, "grad", argmax, "argmax");
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "roi_pool(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, "
      "SymInt pooled_width) -> (Tensor, Tensor)");
  m.def(
      "_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, float spatial_scale, "
      "SymInt batch_size, SymInt channels, SymInt height, SymInt width) -> Tensor");
}

}  // namespace fastcv
