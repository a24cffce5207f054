// box_iou_rotated(boxes1, boxes2) -> iou: intersection over union of every pair of rotated boxes.
//
//   boxes1   [N, 5] as (cx, cy, w, h, angle): centre and sides in any unit, angle in degrees,
//            counter-clockwise as seen on the screen (y points down); any strides, float64 |
//            float32 | float16 | bfloat16
//   boxes2   [M, 5], the dtype and device of boxes1
//   iou      [N, M], their dtype: iou[i, j] belongs to boxes1[i] and boxes2[j], in [0, 1]
//
// Computed in float32 (float64 for float64). Equal boxes have an IoU of exactly 1, boxes that one
// of their sides separates exactly 0, and iou(a, b) == iou(b, a) bit by bit. Boxes without area (w
// <= 0 or h <= 0), or with anything NaN or infinite, have an IoU of 0 with everything.
//
// Errors: shapes, dtypes, devices other than above.
// No gradient. Deterministic on both devices. Memory: output + O(N + M).
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_box_iou_rotated(const at::Tensor& boxes1, const at::Tensor& boxes2);

}  // namespace fastcv
