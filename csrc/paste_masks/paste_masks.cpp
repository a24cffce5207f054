#include "paste_masks/paste_masks.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_paste_masks(const at::Tensor& masks, const at::Tensor& boxes, int64_t height,
                       int64_t width, double threshold) {
  TORCH_CHECK(masks.dim() == 3 && masks.size(1) == masks.size(2) && masks.size(1) >= 1,
              "paste_masks: masks must have shape [N, M, M] or [N, 1, M, M], M at least 1, got ",
              masks.sizes());
  check_floating("paste_masks", masks, "masks");
  check_matrix("paste_masks", boxes, "boxes", 4, "[N, 4]");
  TORCH_CHECK(boxes.size(0) == masks.size(0), "paste_masks: boxes must be as many as masks, ",
              masks.size(0), ", got ", boxes.size(0));
  check_floating("paste_masks", boxes, "boxes");
  check_same_device("paste_masks", masks, "masks", boxes, "boxes");
  TORCH_CHECK(height >= 1 && width >= 1,
              "paste_masks: size must be two integers of at least 1, got [", height, ", ", width,
              "]");
  TORCH_CHECK(height <= ((int64_t{1} << 31) - 1) / width,
              "paste_masks: size must be of fewer than ", "2^31 pixels, got [", height, ", ", width,
              "]");
  check_not_nan("paste_masks", threshold, "threshold");
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "paste_masks(Tensor masks, Tensor boxes, SymInt height, SymInt width, float threshold) -> "
      "Tensor");
  m.def(
      "_paste_masks_rle(Tensor masks, Tensor boxes, SymInt height, SymInt width, float threshold) "
      "-> (Tensor counts, Tensor ends)");
}

// Pixels and run lengths have no gradient, whatever the inputs do.
TORCH_LIBRARY_IMPL(fastcv, Autograd, m) {
  m.impl("paste_masks", torch::CppFunction::makeFallthrough());
  m.impl("_paste_masks_rle", torch::CppFunction::makeFallthrough());
}

}  // namespace fastcv
