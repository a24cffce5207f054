// Checks that every op of the NMS family shares.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/host/checks.h"

namespace fastcv {

// `columns` is 4 for upright boxes, 5 for rotated ones.
inline void check_scored_boxes(const char* op, const at::Tensor& boxes, const at::Tensor& scores,
                               int64_t columns) {
  check_matrix(op, boxes, "boxes", columns, columns == 4 ? "[N, 4]" : "[N, 5]");
  check_floating(op, boxes, "boxes");
  TORCH_CHECK(boxes.sym_size(0) < int64_t{1} << 31, op, ": boxes must be fewer than 2^31, got ",
              boxes.sym_size(0));
  TORCH_CHECK(scores.dim() == 1 && scores.sym_size(0) == boxes.sym_size(0), op,
              ": scores must have shape [N] with N = ", boxes.sym_size(0), " as in boxes, got ",
              scores.sym_sizes());
  TORCH_CHECK(scores.scalar_type() == boxes.scalar_type(), op,
              ": scores must have the dtype of boxes, ", boxes.scalar_type(), ", got ",
              scores.scalar_type());
  check_same_device(op, boxes, "boxes", scores, "scores");
}

inline void check_class_indices(const char* op, const at::Tensor& boxes, const at::Tensor& idxs) {
  TORCH_CHECK(idxs.dim() == 1 && idxs.sym_size(0) == boxes.sym_size(0), op,
              ": idxs must have shape [N] with N = ", boxes.sym_size(0), " as in boxes, got ",
              idxs.sym_sizes());
  TORCH_CHECK(at::isIntegralType(idxs.scalar_type(), /*includeBool=*/true), op,
              ": idxs must have an integer dtype, got ", idxs.scalar_type());
  check_same_device(op, boxes, "boxes", idxs, "idxs");
}

}  // namespace fastcv
