// nms_rotated(boxes, scores, iou_threshold) -> keep: greedy NMS of rotated boxes.
// batched_nms_rotated(boxes, scores, idxs, iou_threshold) -> keep: the same within each class.
//
//   boxes          [N, 5] as (cx, cy, w, h, angle), angle in degrees, counter-clockwise as seen on
//                  the screen (y points down), float64 | float32 | float16 | bfloat16; N < 2^31
//   scores         [N], the boxes' dtype and device
//   idxs           [N], an integer dtype, any values
//   iou_threshold  >= 0; a kept box suppresses those whose IoU with it is above
//   keep           [K] int64: indices of the kept boxes, by falling score; equal scores by index
//
// IoU as in box_iou_rotated. Boxes without area, or with anything NaN or infinite, overlap nothing:
// they are always kept. NaN scores come first.
//
// Errors: shapes, dtypes, devices other than above; iou_threshold is negative or NaN.
// No gradient. Deterministic on both devices. Memory: O(N). CUDA synchronises with the host once,
// for the size of the output.
// Source: Ma et al., "Arbitrary-Oriented Scene Text Detection via Rotation Proposals" (2018).
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

// `idxs` is null for nms_rotated.
void check_nms_rotated(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor* idxs,
                       double iou_threshold);

}  // namespace fastcv
