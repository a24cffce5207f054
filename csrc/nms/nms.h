// nms(boxes, scores, iou_threshold) -> keep: greedy non-maximum suppression.
// batched_nms(boxes, scores, idxs, iou_threshold) -> keep: the same within each class.
//
//   boxes          [N, 4] as (x1, y1, x2, y2), any unit and strides, float64 | float32 | float16 |
//                  bfloat16; N < 2^31
//   scores         [N], the boxes' dtype and device
//   idxs           [N], an integer dtype, any values: a box suppresses only those of its own class
//   iou_threshold  a number; a kept box suppresses those whose IoU with it is above
//   keep           [K] int64: indices of the kept boxes, by falling score; equal scores by index
//
// The same indices in the same order as torchvision's CPU kernel for any input. IoU is
//   inter / (area_kept + area - inter)
// in float32 (float64 for float64), with w = max(0, right - left) and min and max as std::min and
// std::max resolve NaN, and is compared with the threshold as a double.
// NaN scores come first, as in torch.sort(descending=True). For iou_threshold >= 0, boxes that are
// empty, inverted (x2 < x1) or whose area is infinite or NaN suppress nothing and are always kept.
// A negative threshold suppresses whatever has an IoU, 0 included, with a kept box.
//
// Errors: shapes, dtypes, devices other than above; iou_threshold is NaN; N >= 2^31.
// No gradient. Deterministic on both devices.
// Memory: O(N), on the CPU at most 64 bytes a box beyond the output. CUDA synchronises with the
// host once, for the size of the output. Source: Dalal and Triggs (2005); Felzenszwalb et al.
// (2010), section 7.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_nms(const at::Tensor& boxes, const at::Tensor& scores, double iou_threshold);

void check_batched_nms(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& idxs,
                       double iou_threshold);

}  // namespace fastcv
