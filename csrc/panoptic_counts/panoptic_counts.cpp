#include "panoptic_counts/panoptic_counts.h"

#include <torch/library.h>

#include <utility>

#include "common/host/checks.h"

namespace fastcv {

void check_panoptic_counts(const at::Tensor& predicted, const at::Tensor& target) {
  TORCH_CHECK(predicted.dim() == 3, "panoptic_counts: predicted must have shape [B, H, W], got ",
              predicted.sizes());
  TORCH_CHECK(target.sizes() == predicted.sizes(),
              "panoptic_counts: target must have the shape of predicted, ", predicted.sizes(),
              ", got ", target.sizes());
  for (const auto& [t, name] : {std::pair(predicted, "predicted"), std::pair(target, "target")}) {
    TORCH_CHECK(t.scalar_type() == at::kInt || t.scalar_type() == at::kLong,
                "panoptic_counts: ", name, " must be int32 or int64, got ", t.scalar_type());
  }
  check_same_device("panoptic_counts", predicted, "predicted", target, "target");
}

void refuse_panoptic_ids() {
  TORCH_CHECK(false, "panoptic_counts: ids must be 0 to 2147483647, some are not");
}

at::ScalarType panoptic_dtype(const at::Tensor& predicted, const at::Tensor& target) {
  const bool narrow = predicted.scalar_type() == at::kInt && target.scalar_type() == at::kInt;
  return narrow ? at::kInt : at::kLong;
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("panoptic_counts(Tensor predicted, Tensor target) -> (Tensor pairs, Tensor counts)");
}

}  // namespace fastcv
