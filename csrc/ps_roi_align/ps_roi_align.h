// ps_roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio) -> output:
// the mean of bilinear samples in every bin of every RoI, each bin from channels of its own.
//
//   input          [N, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H * W < 2^31,
//                  C a multiple of pooled_height * pooled_width
//   rois           [K, 5] as (image, x1, y1, x2, y2), any float dtype; corners in units of input's
//                  pixels / spatial_scale
//   spatial_scale  pixels of input per unit of rois
//   sampling_ratio samples of a bin along each axis; <= 0: as many as the bin is pixels long, up
//   output         [K, C / (pooled_height * pooled_width), pooled_height, pooled_width], input's
//                  dtype and memory format; bin (i, j) of channel c reads input's channel
//                  (c * pooled_height + i) * pooled_width + j
//
// Where samples lie and what they read outside of the image: common/roi/roi_sampling.h; pixel (0,
// 0) has its centre at 0.5. A RoI with x2 < x1 or y2 < y1 has no samples and gives 0 (with
// sampling_ratio > 0: its samples run backwards); so do NaN and infinite corners.
//
// Errors: shapes, dtypes, devices other than above; an image index outside of the batch, on the CPU
// (on CUDA such a RoI gives 0).
// Gradient: of input, twice differentiable; gathered, so deterministic on both devices.
// Source: Li et al., "Light-Head R-CNN" (2017), section 3.2, with RoIAlign's samples.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_ps_roi_align(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                        int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio);

void check_ps_roi_align_backward(const at::Tensor& grad, const at::Tensor& rois,
                                 double spatial_scale, int64_t pooled_height, int64_t pooled_width,
                                 int64_t sampling_ratio, int64_t batch, int64_t channels,
                                 int64_t height, int64_t width);

}  // namespace fastcv
