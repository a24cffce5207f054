// soft_nms(boxes, scores, method, iou_threshold, sigma, score_threshold) -> (keep, kept_scores):
// instead of removing the boxes that overlap a selected one, lower their scores.
// batched_soft_nms(boxes, scores, idxs, method, ...) -> (keep, kept_scores): within each class.
//
// Repeat: select the box with the highest score (of equals, the lowest index); multiply the score
// of every box still left by
//   linear     1 - iou  where iou > iou_threshold, else 1
//   gaussian   exp(-iou^2 / sigma)
// and drop the boxes whose score has fallen below score_threshold.
//
//   boxes            [N, 4] as (x1, y1, x2, y2), float64 | float32 | float16 | bfloat16; N < 2^31
//   scores           [N], the boxes' dtype and device
//   idxs             [N], an integer dtype, any values
//   method           "linear" or "gaussian"
//   iou_threshold    for linear: a number
//   sigma            for gaussian: > 0
//   score_threshold  >= 0; boxes that start below it, or with a NaN score, are dropped at once
//   keep             [K] int64: indices in order of selection
//   kept_scores      [K], the boxes' dtype: the scores at selection, which never rise
//
// IoU and scores are computed in float32 (float64 for float64); boxes whose IoU is NaN (NaN or
// infinite areas) neither lower scores nor are lowered.
//
// Errors: shapes, dtypes, devices, numbers other than above.
// No gradient. Deterministic on both devices. Memory: O(N). CUDA synchronises with the host once,
// for the size of the output.
// Source: Bodla et al., "Soft-NMS: Improving Object Detection With One Line of Code" (2017).
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

namespace fastcv {

// Resolves and checks what both ops share; `idxs` is null for soft_nms.
struct SoftNmsOptions {
  bool gaussian;
  double iou_threshold, sigma, score_threshold;
};

SoftNmsOptions check_soft_nms(const at::Tensor& boxes, const at::Tensor& scores,
                              const at::Tensor* idxs, std::string_view method, double iou_threshold,
                              double sigma, double score_threshold);

}  // namespace fastcv
