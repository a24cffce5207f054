// sigmoid_focal_loss(inputs, targets, alpha, gamma, weight, reduce) -> loss: binary cross entropy
// of logits, times alpha_t (1 - p_t)^gamma.
//
//   inputs   [*] logits x, float64 | float32 | float16 | bfloat16, any strides
//   targets  like inputs in shape: 0 or 1 of any integer dtype or bool, or any value in [0, 1] of
//            any float dtype; any strides
//   alpha    weight of t = 1 beside 1 - alpha of t = 0, in [0, 1]; -1: both weigh 1
//   gamma    >= 0
//   weight   factors, any dtype, or none. Its dimensions are inputs' first ones, each of inputs'
//            size or 1: [N] or [N, 1] weighs rows of [N, C]. An element of weight 0 counts for
//            nothing, whatever its logit, NaN included
//   loss     like inputs; with reduce: [], the sum, float64 for float64 inputs and float32 for all
//            others (float16 ends at 65504)
//
// With p = 1 / (1 + e^-x): p_t = p t + (1 - p) (1 - t), alpha_t = alpha t + (1 - alpha) (1 - t),
//   loss = weight alpha_t (1 - p_t)^gamma (-t log(p) - (1 - t) log(1 - p)).
// Computed in float32 (float64 for float64 inputs) from e^-|x|, so that neither a log nor 1 - p_t
// loses digits at any x; infinite logits count as the largest finite ones.
//
// Errors: shapes, dtypes, devices, alpha, gamma other than above.
// Gradient: of inputs, computed anew from the same arguments: nothing is kept between the passes.
// Deterministic on both devices: sums are made of fixed blocks, added in order, however many
// threads there are. No host sync. Memory: the output, and 8 bytes for every 2048 elements. On
// CUDA, what is not dense in the order of inputs is copied first.
// Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), equation 5.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "common/focal/focal.h"

namespace fastcv {

// `grad` is null in the forward op, else [] or like inputs.
void check_sigmoid_focal_loss(const at::Tensor& inputs, const at::Tensor& targets, double alpha,
                              double gamma, const std::optional<at::Tensor>& weight,
                              const at::Tensor* grad);

}  // namespace fastcv
