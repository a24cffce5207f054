// What does not depend on the device: schemas and checks. The gradient is registered in
// fastcv/ops/dense_crf.py.
#include "dense_crf/dense_crf.h"

#include <torch/library.h>

#include <cmath>

#include "common/host/checks.h"
#include "dense_crf/lattice_point.h"

namespace fastcv {

std::vector<CrfKernel> crf_kernels(const DenseCrfOptions& o, int64_t image_channels) {
  std::vector<CrfKernel> kernels;
  if (o.gaussian_weight != 0) kernels.push_back({o.gaussian_sxy, 1, o.gaussian_weight, 0});
  if (o.bilateral_weight != 0) {
    kernels.push_back({o.bilateral_sxy, o.bilateral_srgb, o.bilateral_weight, image_channels});
  }
  return kernels;
}

namespace {

double reach_of(int64_t dimensions) {
  return with_dimensions(dimensions, [](auto d) { return lattice_reach<d>(); });
}

void check_scale(double value, const char* name) {
  TORCH_CHECK(value > 0, "dense_crf: ", name, " must be above 0, got ", value);
}

void check_weight(double value, const char* name) {
  TORCH_CHECK(std::isfinite(value), "dense_crf: ", name, " must be finite, got ", value);
}

}  // namespace

void check_dense_crf(const at::Tensor& unary, const at::Tensor& image,
                     const std::optional<at::Tensor>& compatibility, const DenseCrfOptions& o) {
  TORCH_CHECK(unary.dim() == 4, "dense_crf: unary must have shape [B, C, H, W], got ",
              unary.sizes());
  check_floating("dense_crf", unary, "unary");
  const auto wide = unary.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  TORCH_CHECK(image.dim() == 4 && image.size(0) == unary.size(0) && image.size(1) >= 1 &&
                  image.size(1) <= 4 && image.sizes().slice(2) == unary.sizes().slice(2),
              "dense_crf: image must have shape [B, 1 to 4, H, W] with B, H and W as in unary ",
              unary.sizes(), ", got ", image.sizes());
  TORCH_CHECK(image.scalar_type() == wide, "dense_crf: image must be ", wide,
              " beside this unary, got ", image.scalar_type());
  check_same_device("dense_crf", unary, "unary", image, "image");
  if (compatibility) {
    const int64_t labels = unary.size(1);
    TORCH_CHECK(compatibility->dim() == 2 && compatibility->size(0) == labels &&
                    compatibility->size(1) == labels,
                "dense_crf: compatibility must have shape [", labels, ", ", labels, "], got ",
                compatibility->sizes());
    TORCH_CHECK(compatibility->scalar_type() == wide, "dense_crf: compatibility must be ", wide,
                " beside this unary, got ", compatibility->scalar_type());
    check_same_device("dense_crf", unary, "unary", *compatibility, "compatibility");
  }
  TORCH_CHECK(o.iterations >= 0, "dense_crf: iterations must be at least 0, got ", o.iterations);
  check_scale(o.gaussian_sxy, "gaussian_sxy");
  check_scale(o.bilateral_sxy, "bilateral_sxy");
  check_scale(o.bilateral_srgb, "bilateral_srgb");
  check_weight(o.gaussian_weight, "gaussian_weight");
  check_weight(o.bilateral_weight, "bilateral_weight");
  const double height = static_cast<double>(unary.size(2)), width = unary.size(3);
  for (const CrfKernel& kernel : crf_kernels(o, image.size(1))) {
    const double across = std::hypot(height, width) / 2 / kernel.sxy;
    const double levels = std::sqrt(static_cast<double>(kernel.channels)) * 128 / kernel.srgb;
    const char* name = kernel.channels == 0 ? "gaussian_sxy" : "bilateral_sxy and bilateral_srgb";
    TORCH_CHECK(std::hypot(across, levels) < reach_of(kernel.channels + 2), "dense_crf: ", name,
                " must be larger for images of ", unary.size(2), " x ", unary.size(3),
                " pixels, got ", kernel.sxy, " and ", kernel.srgb);
    TORCH_CHECK(unary.size(2) * unary.size(3) * kernel.corners() < (int64_t{1} << 31),
                "dense_crf: unary must have fewer than 2^31 pixels x ", kernel.corners(),
                " corners, got ", unary.sizes());
  }
}

void check_dense_crf_backward(const at::Tensor& grad, const at::Tensor& unary,
                              const at::Tensor& image,
                              const std::optional<at::Tensor>& compatibility,
                              const DenseCrfOptions& options) {
  check_dense_crf(unary, image, compatibility, options);
  TORCH_CHECK(grad.sizes() == unary.sizes(), "dense_crf: grad must have unary's shape ",
              unary.sizes(), ", got ", grad.sizes());
  check_like("dense_crf", grad, "grad", unary, "unary");
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "dense_crf(Tensor unary, Tensor image, Tensor? compatibility, int iterations, "
      "float gaussian_sxy, float gaussian_weight, float bilateral_sxy, float bilateral_srgb, "
      "float bilateral_weight) -> Tensor");
  m.def(
      "_dense_crf_backward(Tensor grad, Tensor unary, Tensor image, Tensor? compatibility, "
      "int iterations, float gaussian_sxy, float gaussian_weight, float bilateral_sxy, "
      "float bilateral_srgb, float bilateral_weight) -> Tensor");
}

}  // namespace fastcv
