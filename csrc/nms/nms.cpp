#include "nms/nms.h"

#include <torch/library.h>

#include "common/nms/nms_checks.h"

namespace fastcv {

void check_nms(const at::Tensor& boxes, const at::Tensor& scores, double iou_threshold) {
  check_scored_boxes(boxes, scores, 4, "nms");
  check_not_nan(iou_threshold, "nms", "iou_threshold");
}

void check_batched_nms(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& idxs,
                       double iou_threshold) {
  check_scored_boxes(boxes, scores, 4, "batched_nms");
  check_class_indices(boxes, idxs, "batched_nms");
  check_not_nan(iou_threshold, "batched_nms", "iou_threshold");
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("nms(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor");
  m.def("batched_nms(Tensor boxes, Tensor scores, Tensor idxs, float iou_threshold) -> Tensor");
}

}  // namespace fastcv
