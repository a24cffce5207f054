// encode_heatmaps(points, height, width, sigma, kind, scaled) -> heatmaps: a bump for each point,
// the target of a network that predicts landmarks.
//
//   points         [..., 2] as (x, y) in cells, whole numbers at cells' centres; any strides;
//                  float64 | float32 | float16 | bfloat16. Where x or y is NaN or infinite there is
//                  no point.
//   height, width  of a heatmap, at least 1; fewer than 2^31 cells
//   sigma          above 0, finite, in cells
//   kind           "gaussian" | "cauchy"
//   scaled         false: a Cauchy bump is divided by sigma^2; a Gaussian one is as it is
//   heatmaps       [..., height, width], points' dtype and device: with d the distance from the
//                  cell's centre to the point, exp(-d^2 / (2 sigma^2)) or 1 / (1 + d^2 / sigma^2);
//                  0 where there is no point
//
// Computed in float32 (float64 for float64), to a few units in the last place of d^2 / sigma^2.
// There is no window: a bump has a value in every cell, and a gradient.
// Errors: shapes, dtypes, numbers other than above.
// Gradient: of points, in every cell; none where there is no point. Its own gradient is not
// implemented. Deterministic on both devices. Autocast: runs in the points' dtype.
// Memory: the output and, a thread, a row and a column.
// Source: Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (2016),
// section 3.3.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

namespace fastcv {

void check_encode_heatmaps(const at::Tensor& points, int64_t height, int64_t width, double sigma,
                           std::string_view kind);

// `grad` is the heatmaps'.
void check_encode_heatmaps_backward(const at::Tensor& grad, const at::Tensor& points, double sigma,
                                    std::string_view kind);

// What both devices compute a bump from.
struct BumpScales {
  double per_square;  // of d^2, in the exponent or beside 1
  double peak;
  bool cauchy;
};
inline BumpScales bump_scales(double sigma, std::string_view kind, bool scaled) {
  const bool cauchy = kind == "cauchy";
  const double per_square = 1 / (sigma * sigma);
  return {cauchy ? per_square : per_square / 2, cauchy && !scaled ? per_square : 1.0, cauchy};
}

}  // namespace fastcv
