#include "nms/nms.h"

#include <torch/library.h>

#include "common/nms/nms_checks.h"

namespace fastcv {

void check_nms(const at::Tensor& boxes, const at::Tensor& scores, double iou_threshold) {
  check_scored_boxes("nms", boxes, scores, 4);
  check_not_nan("nms", iou_threshold, "iou_threshold");
}

void check_batched_nms(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& idxs,
                       double iou_threshold) {
  check_scored_boxes("batched_nms", boxes, scores, 4);
  check_class_indices("batched_nms", boxes, idxs);
  check_not_nan("batched_nms", iou_threshold, "iou_threshold");
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("nms(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor");
  m.def("batched_nms(Tensor boxes, Tensor scores, Tensor idxs, float iou_threshold) -> Tensor");
}

}  // namespace fastcv
