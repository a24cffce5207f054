#include "soft_nms/soft_nms.h"

#include <torch/library.h>

#include "common/nms/nms_checks.h"

namespace fastcv {

SoftNmsOptions check_soft_nms(const at::Tensor& boxes, const at::Tensor& scores,
                              const at::Tensor* idxs, std::string_view method, double iou_threshold,
                              double sigma, double score_threshold) {
  const char* op = idxs == nullptr ? "soft_nms" : "batched_soft_nms";
  check_scored_boxes(op, boxes, scores, 4);
  if (idxs != nullptr) check_class_indices(op, boxes, *idxs);
  TORCH_CHECK(method == "linear" || method == "gaussian", op,
              ": method must be 'linear' or 'gaussian', got '", method, "'");
  check_not_nan(op, iou_threshold, "iou_threshold");
  TORCH_CHECK(sigma > 0, op, ": sigma must be above 0, got ", sigma);
  TORCH_CHECK(score_threshold >= 0, op, ": score_threshold must be at least 0, got ",
              score_threshold);
  return {method == "gaussian", iou_threshold, sigma, score_threshold};
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "soft_nms(Tensor boxes, Tensor scores, str method, float iou_threshold, float sigma, "
      "float score_threshold) -> (Tensor keep, Tensor kept_scores)");
  m.def(
      "batched_soft_nms(Tensor boxes, Tensor scores, Tensor idxs, str method, "
      "float iou_threshold, float sigma, float score_threshold) "
      "-> (Tensor keep, Tensor kept_scores)");
}

// The selection has no gradient: the outputs do not require one, whatever the inputs do.
TORCH_LIBRARY_IMPL(fastcv, Autograd, m) {
  m.impl("soft_nms", torch::CppFunction::makeFallthrough());
  m.impl("batched_soft_nms", torch::CppFunction::makeFallthrough());
}

}  // namespace fastcv
