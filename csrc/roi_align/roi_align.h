// roi_align(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned)
//     -> output: the mean of bilinear samples in every bin of every RoI.
//
//   input           [N, C, H, W] float64 | float32 | float16 | bfloat16, any strides; H * W < 2^31
//   rois            [K, 5] as (image, x1, y1, x2, y2), any float dtype; corners in units of
//                   input's pixels / spatial_scale, x2 > x1 and y2 > y1
//   spatial_scale   pixels of input per unit of rois
//   sampling_ratio  samples of a bin along each axis; <= 0: as many as the bin is pixels long, up
//   aligned         pixel (0, 0) covers [0, 1) x [0, 1), so its centre is at 0.5; false: at 0, and
//                   RoIs are at least a pixel wide and high, as in the first implementations
//   output          [K, C, pooled_height, pooled_width], input's dtype and memory format;
//                   output[k, c, i, j] belongs to bin (i, j) of rois[k]
//
// Where samples lie and what they read outside of the image: common/roi/roi_sampling.h. Coordinates
// and sums in float32 (float64 for float64 input). A RoI with x2 < x1 or y2 < y1 has no samples and
// gives 0 (with sampling_ratio > 0: its samples run backwards; without aligned: it is one pixel).
// NaN and infinite corners give 0 (without aligned, a far corner of -infinity: as one pixel). RoIs
// far larger than the image cost no more than the image.
//
// Errors: shapes, dtypes, devices other than above; an image index outside of the batch, on the CPU
// (on CUDA, where looking would mean waiting, such a RoI gives 0).
// Gradient: of input, twice differentiable; rois have none. It is gathered, never added atomically:
// deterministic on both devices. Memory: output + 32 MiB a thread on the CPU, output on CUDA.
// Source: He et al., "Mask R-CNN" (2017), section 3.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_roi_align(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                     int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio);

void check_roi_align_backward(const at::Tensor& grad, const at::Tensor& rois, double spatial_scale,
                              int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio,
                              int64_t batch_size, int64_t channels, int64_t height, int64_t width);

}  // namespace fastcv
