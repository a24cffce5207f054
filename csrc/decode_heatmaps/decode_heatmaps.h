// decode_heatmaps(heatmaps, kind) -> (points, scores): where each heatmap is highest, to a fraction
// of a cell.
//
//   heatmaps  [..., H, W], H and W at least 1, fewer than 2^31 cells, any strides; float64 |
//             float32 | float16 | bfloat16
//   kind      "gaussian" | "cauchy" | "quarter"
//   points    [..., 2] as (x, y) in cells, whole numbers at cells' centres; heatmaps' dtype, device
//   scores    [...], the highest value
//
// The highest cell comes first; of equal ones the first in memory order of a row-major heatmap.
// Then, along x and along y by itself:
//   quarter   0.25 towards the higher neighbour, -0.25 where they are the same. At a border the
//             cell itself stands for the neighbour that is not there.
//   gaussian  the end of the parabola through the logarithms of the cell and its two neighbours; at
//             a border of the three cells next to it. At most 0.5 from the cell. 0 where there are
//             fewer than three cells, or they do not bend down.
//   cauchy    the same with minus the reciprocals.
// Neighbours below 1e-6 of the highest value count as that. Where the highest value is 0, less or
// infinite, the point is its cell. A heatmap with a NaN has a point and a score of NaN.
//
// Computed in float32 (float64 for float64). Errors: shapes, dtypes, kinds other than above.
// No gradient. Deterministic on both devices. CUDA does not synchronise with the host.
// Memory: the outputs.
// Source: Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (2016), section
// 4.1; Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose Estimation"
// (2020), section 3.1.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "decode_heatmaps/peak.h"

namespace fastcv {

// Returns the kind.
PeakKind check_decode_heatmaps(const at::Tensor& heatmaps, std::string_view kind);

}  // namespace fastcv
