// What does not depend on the device: schema and checks. The gradient is registered in
// fastcv/ops/gram.py.
#include "gram_matrix/gram_matrix.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_gram_matrix(const at::Tensor& features) {
  TORCH_CHECK(features.dim() == 4, "gram_matrix: features must have shape [B, C, H, W], got ",
              features.sizes());
  check_floating("gram_matrix", features, "features");
}

at::Tensor as_channels_and_pixels(const at::Tensor& features) {
  const int64_t height = features.size(2), width = features.size(3);
  const bool even = height == 1 || width == 1 || features.stride(2) == width * features.stride(3);
  const at::Tensor source = even ? features : features.contiguous(features.suggest_memory_format());
  const int64_t step = width == 1 ? source.stride(2) : source.stride(3);
  return source.as_strided({source.size(0), source.size(1), height * width},
                           {source.stride(0), source.stride(1), step});
}

double gram_scale(const at::Tensor& features, bool normalize) {
  const double count = static_cast<double>(features.size(1)) *
                       static_cast<double>(features.size(2) * features.size(3));
  return normalize && count > 0 ? 1 / count : 1;
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("gram_matrix(Tensor features, bool normalize) -> Tensor");
}

}  // namespace fastcv
