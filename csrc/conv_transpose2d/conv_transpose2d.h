// conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation)
//     -> output: the transpose of conv2d, as torch's: every pixel of input lays its kernel, scaled,
//     onto output at steps of stride, and where kernels overlap they add up.
//
//   input           [N, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H, W > 0
//   weight          [C, D, kh, kw], input's dtype; output has groups * D channels
//   bias            [groups * D], input's dtype, or none
//   stride, padding, output_padding, dilation   (rows, columns) each
//   output          [N, groups * D, (H - 1) * stride - 2 * padding + dilation * (kh - 1)
//                   + output_padding + 1, likewise], input's dtype and memory format
//
//   output[n, d, Y, X] = bias[d] + sum of input[n, c, y, x] * weight[c, d % D, i, j] over c of d's
//                        group and y * stride + i * dilation - padding = Y, likewise for X
//
// Sums in float32 (float64 for float64 input). Three ways (path_of()):
//   no overlap   kernel = stride, no padding, no dilation: one matrix product, stored in place; on
//                CUDA for float16 and bfloat16
//   depthwise    a kernel for each channel, at most twice the stride, no dilation: each output
//                gathers the up to 2 x 2 kernels that reach it; on the CPU for strides of 8 and up
//   any other    at::conv_transpose2d; on the CPU float16 and bfloat16 in float32, an image at a
//                time, where the processor cannot multiply bfloat16
//
// Errors: shapes, dtypes, devices other than above.
// Gradient: of input, weight and bias, differentiable again. Autocast: as torch's conv_transpose2d.
// Deterministic where at::conv_transpose2d is; the first two ways always.
// Memory: output and the packed weight; 1 MiB a thread on the CPU. Any other: as torch's.
// Source: Zeiler et al., "Deconvolutional networks" (2010); Long et al., "Fully convolutional
// networks" (2015), section 3.3.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "conv_transpose2d/transposed_shape.h"

namespace fastcv {

// Checks all and returns the sizes.
TransposedShape check_conv_transpose2d(const at::Tensor& input, const at::Tensor& weight,
                                       const std::optional<at::Tensor>& bias,
                                       at::IntArrayRef stride, at::IntArrayRef padding,
                                       at::IntArrayRef output_padding, int64_t groups,
                                       at::IntArrayRef dilation);

}  // namespace fastcv
