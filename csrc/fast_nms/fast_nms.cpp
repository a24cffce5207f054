#include "fast_nms/fast_nms.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_fast_nms(const at::Tensor& boxes, const at::Tensor& scores, double iou_threshold,
                    int64_t top_k) {
  check_matrix("fast_nms", boxes, "boxes", 4, "[N, 4]");
  check_floating("fast_nms", boxes, "boxes");
  TORCH_CHECK(boxes.size(0) < int64_t{1} << 31, "fast_nms: boxes must be fewer than 2^31, got ",
              boxes.size(0));
  TORCH_CHECK(scores.dim() == 2 && scores.size(1) == boxes.size(0),
              "fast_nms: scores must have shape [C, N] with N = ", boxes.size(0),
              " as in boxes, got ", scores.sizes());
  check_like("fast_nms", scores, "scores", boxes, "boxes");
  check_not_nan("fast_nms", iou_threshold, "iou_threshold");
  TORCH_CHECK(top_k >= 1, "fast_nms: top_k must be at least 1, got ", top_k);
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "fast_nms(Tensor boxes, Tensor scores, float iou_threshold, int top_k) -> (Tensor keep, "
      "Tensor labels)");
}

}  // namespace fastcv
