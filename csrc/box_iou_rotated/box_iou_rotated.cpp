#include "box_iou_rotated/box_iou_rotated.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_box_iou_rotated(const at::Tensor& boxes1, const at::Tensor& boxes2) {
  constexpr const char* op = "box_iou_rotated";
  check_matrix(op, boxes1, "boxes1", 5, "[N, 5]");
  check_matrix(op, boxes2, "boxes2", 5, "[M, 5]");
  check_floating(op, boxes1, "boxes1");
  TORCH_CHECK(boxes2.scalar_type() == boxes1.scalar_type(), op,
              ": boxes2 must have the dtype of boxes1, ", boxes1.scalar_type(), ", got ",
              boxes2.scalar_type());
  check_same_device(op, boxes1, "boxes1", boxes2, "boxes2");
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor");
}

TORCH_LIBRARY_IMPL(fastcv, Autograd, m) {
  m.impl("box_iou_rotated", torch::CppFunction::makeFallthrough());
}

}  // namespace fastcv
