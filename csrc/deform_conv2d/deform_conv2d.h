// deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask) -> output:
//     a convolution whose every tap reads where an offset says.
//
//   input    [N, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H * W < 2^31
//   offset   [N, 2 * D * T, H', W'] in pixels: channel 2 * (d * T + t) is dy, the next one dx of
//            tap t = i * KW + j for the channels of offset group d; T = KH * KW taps, D groups of
//            C / D
//   weight   [O, C / G, KH, KW]: G groups, as in conv2d
//   bias     [O] or none
//   mask     [N, D * T, H', W']: multiplies what channel d * T + t reads; none: 1
//   output   [N, O, H', W'] in input's dtype and memory format:
//     output[n, o, y, x] = bias[o] + sum over c of its group, t:
//         weight[o, c, t] * mask[n, d, t, y, x] * input[n, c] at
//         (y * stride - padding + i * dilation + dy, x * stride - padding + j * dilation + dx)
//
// All tensors have input's dtype and device. Between pixels the image is bilinear and outside of it
// 0, as in common zero padding. A position that is NaN or infinite is outside. Sums in float32
// (float64 for float64), of samples that CUDA rounds to input's dtype, and so does a CPU that
// multiplies bfloat16.
//
// Errors: shapes, dtypes, devices other than above; H' or W' below 1.
// Gradient: of all five, once; at whole positions the offset's is towards the higher pixel. On the
// CPU always deterministic and independent of the number of threads; on CUDA grad_input is added
// atomically, in a fixed order under torch.use_deterministic_algorithms.
// Autocast: runs in the autocast dtype, as conv2d does.
// Memory: output + a copy of the weights + 32 MiB a thread (CPU) or 64 MiB a call (CUDA), whatever
// the image; an image with strides of neither NCHW nor channels_last is copied. Source: Dai et al.,
// "Deformable Convolutional Networks" (2017); with mask: Zhu et al., "Deformable ConvNets v2"
// (2018), section 3.2.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "deform_conv2d/deform_shape.h"

namespace fastcv {

DeformShape check_deform_conv2d(const at::Tensor& input, const at::Tensor& offset,
                                const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                                at::IntArrayRef stride, at::IntArrayRef padding,
                                at::IntArrayRef dilation, const std::optional<at::Tensor>& mask);

// `grad` is the gradient of output.
DeformShape check_deform_conv2d_backward(const at::Tensor& grad, const at::Tensor& input,
                                         const at::Tensor& offset, const at::Tensor& weight,
                                         const std::optional<at::Tensor>& mask,
                                         at::IntArrayRef stride, at::IntArrayRef padding,
                                         at::IntArrayRef dilation);

}  // namespace fastcv
