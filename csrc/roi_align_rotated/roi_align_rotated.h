// roi_align_rotated(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio,
// aligned)
//     -> output: the mean of bilinear samples in every bin of every rotated RoI.
//
//   input           [N, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H * W < 2^31
//   rois            [K, 6] as (image, cx, cy, w, h, angle), any float dtype: centre and sides in
//                   units of input's pixels / spatial_scale, angle in degrees, counter-clockwise as
//                   seen on the screen (y points down)
//   spatial_scale   pixels of input per unit of rois
//   sampling_ratio  samples of a bin along each of the RoI's axes; <= 0: as many as the bin is
//                   pixels long, rounded up
//   aligned         pixel (0, 0) has its centre at 0.5; false: at 0, and RoIs are at least a pixel
//                   wide and high
//   output          [K, C, pooled_height, pooled_width], input's dtype and memory format; rows of
//                   bins run along the RoI's own h, columns along its w
//
// Samples read as in roi_align. RoIs with w < 0 or h < 0, and anything NaN or infinite, give 0.
//
// Errors: shapes, dtypes, devices other than above; an image index outside of the batch, on the CPU
// (on CUDA such a RoI gives 0).
// Gradient: of input, twice differentiable; gathered, so deterministic on both devices. Memory:
// output, and on the CPU 64 bytes a pixel of one image for each thread. Source: Huang et al.,
// "RRPN++"; as in Detectron2's ROIAlignRotated (aligned=True there always).
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_roi_align_rotated(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                             int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio);

void check_roi_align_rotated_backward(const at::Tensor& grad, const at::Tensor& rois,
                                      double spatial_scale, int64_t pooled_height,
                                      int64_t pooled_width, int64_t sampling_ratio, int64_t batch,
                                      int64_t channels, int64_t height, int64_t width);

}  // namespace fastcv
