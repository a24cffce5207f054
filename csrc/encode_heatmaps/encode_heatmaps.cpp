#include "encode_heatmaps/encode_heatmaps.h"

#include <torch/library.h>

#include <cmath>

#include "common/host/checks.h"

namespace fastcv {
namespace {

void check_points(const at::Tensor& points, double sigma, std::string_view kind) {
  TORCH_CHECK(points.dim() >= 1 && points.size(-1) == 2,
              "encode_heatmaps: points must have shape [..., 2], got ", points.sizes());
  check_floating("encode_heatmaps", points, "points");
  TORCH_CHECK(std::isfinite(sigma) && sigma > 0, "encode_heatmaps: sigma must be above 0, got ",
              sigma);
  TORCH_CHECK(kind == "gaussian" || kind == "cauchy",
              "encode_heatmaps: kind must be 'gaussian' or 'cauchy', got '", kind, "'");
}

}  // namespace

void check_encode_heatmaps(const at::Tensor& points, int64_t height, int64_t width, double sigma,
                           std::string_view kind) {
  check_points(points, sigma, kind);
  TORCH_CHECK(height >= 1 && width >= 1,
              "encode_heatmaps: size must be two integers of at least 1, got [", height, ", ",
              width, "]");
  TORCH_CHECK(height <= ((int64_t{1} << 31) - 1) / width,
              "encode_heatmaps: size must be of fewer than 2^31 cells, got [", height, ", ", width,
              "]");
}

void check_encode_heatmaps_backward(const at::Tensor& grad, const at::Tensor& points, double sigma,
                                    std::string_view kind) {
  check_points(points, sigma, kind);
  check_like("encode_heatmaps", grad, "grad", points, "points");
  TORCH_CHECK(grad.dim() == points.dim() + 1 && grad.sizes().slice(0, points.dim() - 1) ==
                                                    points.sizes().slice(0, points.dim() - 1),
              "encode_heatmaps: grad must have a heatmap for each point, got shape ", grad.sizes());
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "encode_heatmaps(Tensor points, SymInt height, SymInt width, float sigma, str kind, bool "
      "scaled) -> Tensor");
  m.def(
      "_encode_heatmaps_backward(Tensor grad, Tensor points, float sigma, str kind, bool scaled) "
      "-> Tensor");
}

}  // namespace fastcv
