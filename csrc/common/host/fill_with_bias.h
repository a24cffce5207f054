// What a convolution without input channels gives.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace fastcv {

// output[n, d, y, x] = bias[d], or 0
inline at::Tensor fill_with_bias(at::Tensor output, const std::optional<at::Tensor>& bias) {
  return bias ? output.copy_(bias->view({1, -1, 1, 1})) : output.zero_();
}

}  // namespace fastcv
