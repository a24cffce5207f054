// correlation(a, b, radius) -> output: how alike each pixel of a is to the pixels around its place
// in b.
//
//   a, b      [B, C, H, W] float64 | float32 | float16 | bfloat16, the same shape, dtype and
//   device,
//             any strides
//   radius    r, 0 to 32767, in pixels
//   output    [B, (2r+1)^2, H, W], their dtype and a's memory format:
//             output[n, (dy + r) * (2r+1) + dx + r, y, x] =
//                 mean over c of a[n, c, y, x] * b[n, c, y + dy, x + dx],
//             where b is 0 outside of [0, H) x [0, W)
//
// The mean, not the sum: as FlowNet 2.0's layer and those after it have it. 0 where C is 0. Sums in
// float32 (float64 for float64). NaN and infinities go where products take them; what lies outside
// is a factor of 0.
//
// Errors: shapes, dtypes, devices other than above; another radius.
// Gradient (_correlation_backward(grad, a, b, radius, of_a, of_b)): of both; what is not asked for
// is empty.
// Deterministic on both devices, for any number of threads.
// Memory: the output; copies of tensors that are not NCHW. On the CPU about 0.5 MiB a thread for
// r = 4, growing with r^2.
// Source: Dosovitskiy et al., "FlowNet: Learning Optical Flow with Convolutional Networks" (2015),
// section 3, with patches of one pixel.
#pragma once

#include <ATen/core/Tensor.h>

#include "correlation/correlation_shape.h"

namespace fastcv {

void check_correlation(const at::Tensor& a, const at::Tensor& b, int64_t radius);

void check_correlation_backward(const at::Tensor& grad, const at::Tensor& a, const at::Tensor& b,
                                int64_t radius);

CorrelationShape correlation_shape(const at::Tensor& a, int64_t radius);

}  // namespace fastcv
