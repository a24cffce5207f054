// flow_warp(input, flow, padding, align_corners) -> output: each pixel reads the input where its
// flow points.
//
//   input          [B, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H * W < 2^31
//   flow           [B, 2, H', W'], any float dtype: (x, y) in pixels of input; x grows to the
//                  right, y downwards
//   padding        what lies outside of the input: "zeros", or "border", its nearest pixel
//   align_corners  where pixel i of n lies in m before it moves: at i * (m - 1) / (n - 1), so that
//                  the corners' centres meet; false: at (i + 0.5) * m / n - 0.5, so that the edges
//                  meet. Of n = m at i, either way.
//   output         [B, C, H', W'], input's dtype and memory format:
//                  output[b, c, y, x] = input[b, c] at (y0 + flow[b, 1, y, x],
//                  x0 + flow[b, 0, y, x]), bilinear between pixel centres at whole numbers
//
// Positions and sums in float32 (float64 for float64). A pixel that weighs 0 is not read: a flow of
// zeros is a copy. Where the flow is NaN, the output is 0.
//
// Errors: shapes, dtypes, devices other than above; another padding; H * W too large.
// Gradient (_flow_warp_backward(grad, input, flow, padding, align_corners, of_input, of_flow)): of
// both; what is not asked for is empty. Towards the higher pixel where the flow ends on a pixel; 0
// where "border" holds it. The flow's is deterministic; the input's on the CPU, and on CUDA under
// torch.use_deterministic_algorithms.
// Memory: the output. On the CPU for each thread 64 bytes a pixel of one input image and 32 of one
// output image; of the gradient 128, and up to 128 bytes a pixel of the outputs for their flow's.
// Source: Zhu et al., "Deep Feature Flow for Video Recognition" (2017), equations 2 and 3.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "flow_warp/warp_sample.h"

namespace fastcv {

void check_flow_warp(const at::Tensor& input, const at::Tensor& flow, std::string_view padding);

void check_flow_warp_backward(const at::Tensor& grad, const at::Tensor& input,
                              const at::Tensor& flow, std::string_view padding);

WarpShape warp_shape(const at::Tensor& input, const at::Tensor& flow, std::string_view padding,
                     bool align_corners);

}  // namespace fastcv
