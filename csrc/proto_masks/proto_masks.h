// proto_masks(prototypes, coefficients, boxes, height, width, threshold) -> masks: which pixels of
// a picture belong to each instance, of prototypes that all share and of how much each takes of
// them. _proto_masks_rle(prototypes, coefficients, boxes, height, width, threshold) -> (counts,
// ends): the same as COCO's run lengths, without a mask of the picture's size in between.
//
//   prototypes     [K, h, w], K, h and w at least 1, any strides; float64 | float32 | float16 |
//                  bfloat16
//   coefficients   [N, K], prototypes' dtype and device, any strides
//   boxes          [N, 4] as (x1, y1, x2, y2) in pixels of the picture, floating point, prototypes'
//                  device; may reach beyond the picture
//   height, width  of the picture, at least 1; fewer than 2^31 pixels
//   threshold      a number
//   masks          [N, height, width] bool: the interpolated probability is above the threshold
//   counts, ends   as of _paste_masks_rle
//
// Sample (y, x) of instance n has the probability sigmoid(sum over k of coefficients[n, k] *
// prototypes[k, y, x]) where it lies in the box, which is scaled to the prototypes' size and grown
// by one sample on each side: x1 - 1 <= x and x < x2 + 1, and likewise y. Elsewhere it is 0; so it
// is everywhere where a corner of the box is NaN. Samples are stretched bilinearly over the picture
// (align_corners=False). Pixels between samples outside of the box alone are of no instance,
// whatever the threshold. This is torch's einsum, sigmoid, product with the boxes, interpolate and
// "> threshold", computed in float32 (float64 for float64 prototypes).
// Pixels whose value lies within a few roundings of the threshold may differ between devices and
// instruction sets; not from run to run, nor with the number of threads.
//
// Errors: shapes, dtypes, devices other than above; threshold is NaN.
// No gradient.
// Memory: proto_masks the output and, a thread, the samples in one box and their rows in the
// picture's width; _proto_masks_rle the output and, a thread, the samples, one mask's runs and 64
// columns; on CUDA [N, h, w] in the type that is computed in.
// CUDA: proto_masks does not synchronise with the host; _proto_masks_rle copies its inputs to the
// CPU and encodes there.
// Source: Bolya et al., "YOLACT" (2019), section 3.2; Lin et al., "Microsoft COCO" (2014), for the
// run lengths.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_proto_masks(const at::Tensor& prototypes, const at::Tensor& coefficients,
                       const at::Tensor& boxes, int64_t height, int64_t width, double threshold);

}  // namespace fastcv
