// What does not depend on the device: schemas, checks, how lines lie in memory. The gradient is
// registered in fastcv/ops/corner_pool.py.
#include "corner_pool/corner_pool.h"

#include <torch/library.h>

#include "common/host/checks.h"
#include "common/host/memory_format.h"

namespace fastcv {

PoolLines pool_lines(const at::Tensor& dense, std::string_view direction) {
  const int64_t batch = dense.size(0), channels = dense.size(1);
  const int64_t height = dense.size(2), width = dense.size(3);
  const bool backwards = direction == "top" || direction == "left";
  const bool vertical = direction == "top" || direction == "bottom";
  const bool last = is_channels_last(dense);
  if (vertical) {
    return last ? PoolLines{batch, height, width * channels, backwards}
                : PoolLines{batch * channels, height, width, backwards};
  }
  return last ? PoolLines{batch * height, width, channels, backwards}
              : PoolLines{batch * channels * height, width, 1, backwards};
}

at::Tensor dense_like(const at::Tensor& t, const at::Tensor& like) {
  return t.contiguous(is_channels_last(like) ? at::MemoryFormat::ChannelsLast
                                             : at::MemoryFormat::Contiguous);
}

void check_corner_pool(const at::Tensor& input, std::string_view direction) {
  TORCH_CHECK(input.dim() == 4, "corner_pool: input must have shape [B, C, H, W], got ",
              input.sizes());
  check_floating("corner_pool", input, "input");
  TORCH_CHECK(
      direction == "top" || direction == "bottom" || direction == "left" || direction == "right",
      "corner_pool: direction must be top, bottom, left or right, got '", direction, "'");
}

void check_corner_pool_backward(const at::Tensor& grad, const at::Tensor& input,
                                const at::Tensor& output, std::string_view direction) {
  check_corner_pool(input, direction);
  for (const auto& [t, name] : {std::pair(grad, "grad"), std::pair(output, "output")}) {
    TORCH_CHECK(t.sizes() == input.sizes(), "corner_pool: ", name, " must have input's shape ",
                input.sizes(), ", got ", t.sizes());
    check_like("corner_pool", t, name, input, "input");
  }
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("corner_pool(Tensor input, str direction) -> Tensor");
  m.def("_corner_pool_backward(Tensor grad, Tensor input, Tensor output, str direction) -> Tensor");
}

}  // namespace fastcv
