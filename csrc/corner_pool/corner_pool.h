// corner_pool(input, direction) -> output: the largest value on the way from each pixel to the
// border.
//
//   input      [B, C, H, W] float64 | float32 | float16 | bfloat16, any strides; NCHW and
//              channels_last are read as they lie
//   direction  the corner that is pooled for: "top" looks down, "bottom" up, "left" to the right,
//              "right" to the left
//   output     input's shape, dtype and memory format:
//              top:    output[y, x] = max of input[y .., x]     bottom: of input[.. y, x]
//              left:   output[y, x] = max of input[y, x ..]     right:  of input[y, .. x]
//
// NaN is larger than all else, as for torch.cummax.
//
// Errors: input has not 4 dimensions or is not floating point; another direction.
// Gradient (_corner_pool_backward(grad, input, output, direction)): to the pixel that the largest
// value is at, of equal ones the nearest. Sums in float32 (float64 for float64).
// Deterministic on both devices. Memory: the output and 32 MiB.
// Source: Law and Deng, "CornerNet: Detecting Objects as Paired Keypoints" (2018), equations 6, 7.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

namespace fastcv {

// The lines that are pooled along: line (o, k) has its pixels at o * length * inner + i * inner +
// k.
struct PoolLines {
  int64_t outer, length, inner;
  bool backwards;  // from the last pixel to the first
};

// Of a tensor that is dense in NCHW or in channels_last.
PoolLines pool_lines(const at::Tensor& dense, std::string_view direction);

// A view or a copy that is dense in the memory format that `like` suggests.
at::Tensor dense_like(const at::Tensor& t, const at::Tensor& like);

void check_corner_pool(const at::Tensor& input, std::string_view direction);

void check_corner_pool_backward(const at::Tensor& grad, const at::Tensor& input,
                                const at::Tensor& output, std::string_view direction);

}  // namespace fastcv
