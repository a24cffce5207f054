// roi_pool(input, rois, spatial_scale, pooled_height, pooled_width) -> (output, argmax): the
// maximum of every bin of every RoI.
//
//   input          [N, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H * W < 2^31
//   rois           [K, 5] as (image, x1, y1, x2, y2), any float dtype; corners in units of input's
//                  pixels / spatial_scale, rounded to whole pixels, both included
//   spatial_scale  pixels of input per unit of rois
//   output         [K, C, pooled_height, pooled_width], input's dtype and memory format
//   argmax         the same shape, int32: y * W + x of the maximum, the first of equals; -1 where
//                  the bin holds no pixel, and the output is 0
//
// Bin (i, j) covers pixels [floor(i h / pooled_height), ceil((i + 1) h / pooled_height)) of a RoI h
// high, at least 1, so neighbours may share a row. NaN pixels are never the maximum; a bin of
// nothing else gives the lowest finite number and argmax -1. NaN corners make a bin empty.
//
// Errors: shapes, dtypes, devices other than above; an image index outside of the batch, on the CPU
// (on CUDA such a RoI gives 0 and -1).
// Gradient: of input, to the maxima, twice differentiable; gathered, so deterministic on both
// devices. Source: Girshick, "Fast R-CNN" (2015), section 2.1.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_roi_pool(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                    int64_t pooled_height, int64_t pooled_width);

void check_roi_pool_backward(const at::Tensor& grad, const at::Tensor& rois,
                             const at::Tensor& argmax, double spatial_scale, int64_t batch,
                             int64_t channels, int64_t height, int64_t width);

}  // namespace fastcv
