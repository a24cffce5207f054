// fast_nms(boxes, scores, iou_threshold, top_k) -> (keep, labels): YOLACT's non-maximum
// suppression, of all classes at once.
//
//   boxes          [N, 4] as (x1, y1, x2, y2), any unit and strides, float64 | float32 | float16 |
//                  bfloat16; N < 2^31; the same boxes for every class
//   scores         [C, N], the boxes' dtype and device
//   iou_threshold  a number
//   top_k          at least 1: of each class only so many boxes are looked at, those that score
//   best keep           [K] int64: indices of boxes, by falling score; equal scores by class, then
//   by
//                  index
//   labels         [K] int64: for which class each was kept
//
// Within a class a box goes if its IoU with any box that scores better is above the threshold: also
// with one that goes itself. So no box waits for another, and what is kept is kept by nms too. IoU,
// NaN scores and odd boxes are as for nms (nms/nms.h).
//
// Errors: shapes, dtypes, devices other than above; iou_threshold is NaN; top_k < 1; N >= 2^31.
// No gradient. Deterministic on both devices.
// Memory: O(C top_k) and, on the CPU, O(N) a thread; on CUDA O(C N), for the order. CUDA
// synchronises with the host once, for the size of the output.
// Source: Bolya et al., "YOLACT: Real-time Instance Segmentation" (2019), section 4.1.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_fast_nms(const at::Tensor& boxes, const at::Tensor& scores, double iou_threshold,
                    int64_t top_k);

}  // namespace fastcv
