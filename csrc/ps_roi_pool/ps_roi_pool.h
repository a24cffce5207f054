// ps_roi_pool(input, rois, spatial_scale, pooled_height, pooled_width) -> output:
// the mean of every bin of every RoI, each bin from channels of its own.
//
//   input          [N, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H * W < 2^31,
//                  C a multiple of pooled_height * pooled_width
//   rois           [K, 5] as (image, x1, y1, x2, y2), any float dtype; corners in units of input's
//                  pixels / spatial_scale
//   spatial_scale  pixels of input per unit of rois
//   output         [K, C / (pooled_height * pooled_width), pooled_height, pooled_width], input's
//                  dtype and memory format; bin (i, j) of channel c reads input's channel
//                  (c * pooled_height + i) * pooled_width + j
//
// Corners are rounded to whole pixels; bin (i, j) covers pixels [y1 + floor(i h / pooled_height),
// y1 + ceil((i + 1) h / pooled_height)) of a RoI h high, at least 1, as far as they are within
// [0, H - 1): as in torchvision, the map's last row and column are never read. Empty bins give 0,
// and so do NaN corners.
//
// Errors: shapes, dtypes, devices other than above; an image index outside of the batch, on the CPU
// (on CUDA such a RoI gives 0).
// Gradient: of input, twice differentiable; gathered, so deterministic on both devices.
// Source: Dai et al., "R-FCN" (2016), equation 1.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_ps_roi_pool(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                       int64_t pooled_height, int64_t pooled_width);

void check_ps_roi_pool_backward(const at::Tensor& grad, const at::Tensor& rois,
                                double spatial_scale, int64_t pooled_height, int64_t pooled_width,
                                int64_t batch, int64_t channels, int64_t height, int64_t width);

}  // namespace fastcv
