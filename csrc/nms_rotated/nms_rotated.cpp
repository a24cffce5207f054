#include "nms_rotated/nms_rotated.h"

#include <torch/library.h>

#include "common/nms/nms_checks.h"

namespace fastcv {

void check_nms_rotated(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor* idxs,
                       double iou_threshold) {
  const char* op = idxs == nullptr ? "nms_rotated" : "batched_nms_rotated";
  check_scored_boxes(op, boxes, scores, 5);
  if (idxs != nullptr) check_class_indices(op, boxes, *idxs);
  TORCH_CHECK(iou_threshold >= 0, op, ": iou_threshold must be at least 0, got ", iou_threshold);
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("nms_rotated(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor");
  m.def(
      "batched_nms_rotated(Tensor boxes, Tensor scores, Tensor idxs, float iou_threshold) "
      "-> Tensor");
}

}  // namespace fastcv
