#include "proto_masks/proto_masks.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_proto_masks(const at::Tensor& prototypes, const at::Tensor& coefficients,
                       const at::Tensor& boxes, int64_t height, int64_t width, double threshold) {
  TORCH_CHECK(prototypes.dim() == 3 && prototypes.numel() > 0,
              "proto_masks: prototypes must have shape [K, h, w], each at least 1, got ",
              prototypes.sizes());
  check_floating("proto_masks", prototypes, "prototypes");
  check_matrix("proto_masks", coefficients, "coefficients", prototypes.size(0),
               "[N, K] with K as in prototypes");
  check_like("proto_masks", coefficients, "coefficients", prototypes, "prototypes");
  check_matrix("proto_masks", boxes, "boxes", 4, "[N, 4]");
  TORCH_CHECK(boxes.size(0) == coefficients.size(0),
              "proto_masks: boxes must be as many as coefficients, ", coefficients.size(0),
              ", got ", boxes.size(0));
  check_floating("proto_masks", boxes, "boxes");
  check_same_device("proto_masks", prototypes, "prototypes", boxes, "boxes");
  TORCH_CHECK(height >= 1 && width >= 1,
              "proto_masks: size must be two integers of at least 1, got [", height, ", ", width,
              "]");
  TORCH_CHECK(height <= ((int64_t{1} << 31) - 1) / width,
              "proto_masks: size must be of fewer than ", "2^31 pixels, got [", height, ", ", width,
              "]");
  check_not_nan("proto_masks", threshold, "threshold");
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "proto_masks(Tensor prototypes, Tensor coefficients, Tensor boxes, SymInt height, "
      "SymInt width, float threshold) -> Tensor");
  m.def(
      "_proto_masks_rle(Tensor prototypes, Tensor coefficients, Tensor boxes, SymInt height, "
      "SymInt width, float threshold) -> (Tensor counts, Tensor ends)");
}

// Pixels and run lengths have no gradient, whatever the inputs do.
TORCH_LIBRARY_IMPL(fastcv, Autograd, m) {
  m.impl("proto_masks", torch::CppFunction::makeFallthrough());
  m.impl("_proto_masks_rle", torch::CppFunction::makeFallthrough());
}

}  // namespace fastcv
