#include "decode_heatmaps/decode_heatmaps.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

PeakKind check_decode_heatmaps(const at::Tensor& heatmaps, std::string_view kind) {
  TORCH_CHECK(heatmaps.dim() >= 2 && heatmaps.size(-2) >= 1 && heatmaps.size(-1) >= 1,
              "decode_heatmaps: heatmaps must have shape [..., H, W], H and W at least 1, got ",
              heatmaps.sizes());
  check_floating("decode_heatmaps", heatmaps, "heatmaps");
  TORCH_CHECK(heatmaps.size(-2) <= ((int64_t{1} << 31) - 1) / heatmaps.size(-1),
              "decode_heatmaps: heatmaps must have fewer than 2^31 cells, got ", heatmaps.sizes());
  if (kind == "gaussian") return PeakKind::gaussian;
  if (kind == "cauchy") return PeakKind::cauchy;
  TORCH_CHECK(kind == "quarter",
              "decode_heatmaps: kind must be 'gaussian', 'cauchy' or 'quarter', got '", kind, "'");
  return PeakKind::quarter;
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("decode_heatmaps(Tensor heatmaps, str kind) -> (Tensor points, Tensor scores)");
}

// Places have no gradient, whatever the heatmaps do.
TORCH_LIBRARY_IMPL(fastcv, Autograd, m) {
  m.impl("decode_heatmaps", torch::CppFunction::makeFallthrough());
}

}  // namespace fastcv
