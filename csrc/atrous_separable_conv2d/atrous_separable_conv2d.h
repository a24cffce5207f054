// atrous_separable_conv2d(input, depthwise_weight, pointwise_weight, depthwise_bias,
//     pointwise_bias, stride, padding, dilation, activation)
//     -> output: pointwise(activation(depthwise(input))), a dilated convolution of each channel
//     and then one over channels, without the map in between ever being whole in memory.
//
//   input             [N, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H, W > 0
//   depthwise_weight  [C, 1, kh, kw], input's dtype
//   pointwise_weight  [D, C, 1, 1], input's dtype
//   depthwise_bias    [C], pointwise_bias [D], input's dtype, or none. A batch norm behind either
//                     convolution is expressed by scaled weights and a shifted bias
//   stride, padding, dilation   (rows, columns) each, of the depthwise convolution
//   activation        none or "relu": what the depthwise output (with its bias) goes through
//                     before the pointwise convolution, as in DeepLab v3+. None behind the latter
//   output            [N, D, H', W'], H' = (H + 2 * padding - dilation * (kh - 1) - 1) / stride + 1
//                     rounded down, likewise W'; input's dtype and memory format
//
// Sums of both convolutions in float32 (float64 for float64 input). In between, CUDA rounds to
// input's dtype, which the tensor cores take, and so does a CPU that multiplies bfloat16, in
// channels_last; else the CPU keeps the sums.
//
// Errors: shapes, dtypes, devices other than above; another activation.
// Gradient: of all tensors, a band of rows at a time, the map in between made anew; by the plain
// composition where it is to be differentiated again. Autocast: as torch's conv2d. Deterministic.
// Memory: output and the packed weights; 1 MiB a thread on the CPU. Backward: the gradients and
// some 64 MiB.
// Source: Chen et al., "Encoder-decoder with atrous separable convolution" (2018), section 3.1;
// Chollet, "Xception" (2017).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>
#include <tuple>

#include "atrous_separable_conv2d/separable_shape.h"

namespace fastcv {

// Checks all and returns the sizes.
SeparableShape check_atrous_separable_conv2d(
    const at::Tensor& input, const at::Tensor& depthwise_weight, const at::Tensor& pointwise_weight,
    const std::optional<at::Tensor>& depthwise_bias,
    const std::optional<at::Tensor>& pointwise_bias, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, std::optional<std::string_view> activation);

// Gradients of input, depthwise_weight, pointwise_weight, depthwise_bias and pointwise_bias (the
// latter two whether there are biases or not). For both devices, of ops of torch's.
std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>
atrous_separable_conv2d_backward(const at::Tensor& grad, const at::Tensor& input,
                                 const at::Tensor& depthwise_weight,
                                 const at::Tensor& pointwise_weight,
                                 const std::optional<at::Tensor>& depthwise_bias,
                                 at::IntArrayRef stride, at::IntArrayRef padding,
                                 at::IntArrayRef dilation,
                                 std::optional<std::string_view> activation);

}  // namespace fastcv
