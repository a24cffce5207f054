// paste_masks(masks, boxes, height, width, threshold) -> pasted: which pixels of a picture belong
// to each instance, from the small masks that a network predicts in the instances' boxes.
// _paste_masks_rle(masks, boxes, height, width, threshold) -> (counts, ends): the same as COCO's
// run lengths, without a mask of the picture's size in between.
//
//   masks          [N, M, M] probabilities, M >= 1, any strides; float64 | float32 | float16 |
//                  bfloat16
//   boxes          [N, 4] as (x1, y1, x2, y2) in pixels, floating point, masks' device; may reach
//                  beyond the picture
//   height, width  of the picture, at least 1; fewer than 2^31 pixels
//   threshold      a number
//   pasted         [N, height, width] bool: the interpolated mask is above the threshold
//   counts         [bytes] uint8 on the CPU: the compressed "counts" of all masks, one after the
//                  other
//   ends           [N] int64 on the CPU: where in counts those of each mask end
//
// A mask gets a border of zeros, 1 wide, and its box grows by (M + 2) / M about its centre. The
// box's corners are cut to integers, towards zero. The mask is stretched bilinearly
// (align_corners=False) over the pixels from (x1, y1) to (x2, y2), both included; outside of them
// there is no instance, whatever the threshold. This is torchvision's paste_masks_in_image and
// "> threshold", computed in float32 (float64 for float64 masks). Pixels where torchvision's
// interpolation lies within a few roundings of the threshold may differ.
// Where a corner of the grown box is NaN, infinite or beyond 2^29, there is no instance.
//
// counts is byte for byte what pycocotools.mask.encode makes of a mask: runs down the columns, off
// and on in turn, from the third on less the one before the last, 5 bits a character.
//
// Errors: shapes, dtypes, devices other than above; threshold is NaN.
// No gradient. The same bits on both devices and for every instruction set.
// Memory: paste_masks the output and, a thread, M + 2 rows of the picture's width;
// _paste_masks_rle the output and, a thread, what one mask's runs and 64 columns take.
// CUDA: paste_masks does not synchronise with the host; _paste_masks_rle copies masks and boxes to
// the CPU and encodes there, for counts are needed there, and masks are small.
// Source: He et al., "Mask R-CNN" (2017), section 3.1; Lin et al., "Microsoft COCO" (2014), for the
// run lengths.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_paste_masks(const at::Tensor& masks, const at::Tensor& boxes, int64_t height,
                       int64_t width, double threshold);

}  // namespace fastcv
