// gram_matrix(features, normalize) -> gram: the inner products of all pairs of channels.
//
//   features   [B, C, H, W] float64 | float32 | float16 | bfloat16, any strides; NCHW and
//              channels_last are read as they lie
//   normalize  divide by C * H * W
//   gram       [B, C, C], features' dtype, contiguous:
//              gram[b, i, j] = sum over y, x of features[b, i, y, x] * features[b, j, y, x]
//
// Sums in float32 (float64 for float64), rounded once at the end. Exactly symmetric: a product is
// computed once and written twice. No pixels give 0.
//
// Errors: features is not floating point or has not 4 dimensions.
// Gradient: (g + g^T) F, one product of matrices, differentiable again (fastcv/ops/gram.py).
// Deterministic on both devices, and on the CPU for any number of threads: how the pixels are split
// depends on the shape alone, and parts are added in order. Memory: output + 32 MiB; on CUDA the
// output and its sums, which are at most 17 MiB (33 in float64) or, of more, one lower triangle.
// Source: Johnson et al., "Perceptual Losses for Real-Time Style Transfer" (2016), equation 3.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_gram_matrix(const at::Tensor& features);

// A view, or a copy where need be, whose pixels are evenly spaced: [B, C, H * W].
at::Tensor as_channels_and_pixels(const at::Tensor& features);

// What the sums are multiplied by.
double gram_scale(const at::Tensor& features, bool normalize);

}  // namespace fastcv
