// panoptic_counts(predicted, target) -> (pairs, counts): how many pixels of each image have which
// two ids, in two maps of ids.
//
//   predicted   [B, H, W] int32 | int64, any strides: an id for each pixel, 0 to 2^31 - 1
//   target      [B, H, W] int32 | int64, on the same device
//   pairs       [N, 3] int64: an image, an id of predicted and one of target that meet in at least
//               one pixel of it; each triple once, in rising order
//   counts      [N] int64: how many pixels have these two, at least 1
//
// All that panoptic quality needs of the pixels: areas are sums of counts, void and crowds are ids
// like others. Tubes of a video are the sum over its frames.
//
// Errors: shapes, dtypes, devices other than above; an id that is negative or above 2^31 - 1.
// No gradient. Deterministic on both devices.
// Memory: proportional to N, on the CPU for each thread; on CUDA 64 KiB an image, or up to 128 N
// bytes. CUDA synchronises with the host for the size of the output, more
// than once where an image has more than some thousand pairs.
// Source: Kirillov et al., "Panoptic Segmentation" (2019), section 4.2.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace fastcv {

void check_panoptic_counts(const at::Tensor& predicted, const at::Tensor& target);

[[noreturn]] void refuse_panoptic_ids();

// The dtype that both are read in.
at::ScalarType panoptic_dtype(const at::Tensor& predicted, const at::Tensor& target);

}  // namespace fastcv
