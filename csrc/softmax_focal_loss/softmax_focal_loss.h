// softmax_focal_loss(inputs, targets, alpha, class_alpha, gamma, weight, ignore_index, reduce)
//     -> loss, count: cross entropy of logits over classes, times alpha (1 - p)^gamma.
//
//   inputs        [N, C] logits, float64 | float32 | float16 | bfloat16, any strides
//   targets       [N] class indices, any integer dtype; or [N, C] probabilities, any float dtype
//   alpha         factor of every class; class_alpha [C], any float dtype, or none: each one's own
//   gamma         >= 0
//   weight        [N], [N, 1] or [], any dtype, or none: factors of rows. A row of weight 0 counts
//                 for nothing, NaN included
//   ignore_index  rows of this index count for nothing; of no effect beside probabilities
//   loss          [N], inputs' dtype; with reduce: [], the sum, float64 for float64 inputs and
//                 float32 for all others
//   count         with reduce: [], how many rows were not ignored, in the sum's dtype; else [0]
//
// With p = softmax(inputs) and t the targets, of an index 1 at it and 0 elsewhere:
//   loss[n] = -weight[n] alpha sum_c class_alpha[c] t[n, c] (1 - p[n, c])^gamma log(p[n, c]).
// Computed in float32 (float64 for float64 inputs). Neither log(p) nor 1 - p loses digits as p goes
// to 1: both come from the sum of e^(x - max) without the largest logit. Logits of -infinity have
// p = 0.
//
// Errors: shapes, dtypes, devices, gamma other than above; an index outside of [0, C) that is not
// ignore_index, on the CPU (on CUDA, where looking would mean waiting, the row's loss is NaN).
// Gradient: of inputs, computed anew from the same arguments. Deterministic on both devices: sums
// are made of fixed blocks, added in order. No host sync. Memory: the output, and 16 bytes for
// every block of rows.
// Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), section 3, over classes.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "common/focal/focal.h"

namespace fastcv {

// `grad` is null in the forward op, else [] or [N].
void check_softmax_focal_loss(const at::Tensor& inputs, const at::Tensor& targets,
                              const std::optional<at::Tensor>& class_alpha, double gamma,
                              const std::optional<at::Tensor>& weight, const at::Tensor* grad);

// Whether targets are probabilities, not indices.
inline bool has_probabilities(const at::Tensor& targets) { return targets.dim() == 2; }

// The rows' weights, in the dtype of the computation; undefined for none.
at::Tensor row_weights(const std::optional<at::Tensor>& weight, const at::Tensor& inputs);

// class_alpha likewise.
at::Tensor class_weights(const std::optional<at::Tensor>& class_alpha, const at::Tensor& inputs);

}  // namespace fastcv
