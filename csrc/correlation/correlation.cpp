// What does not depend on the device: schemas and checks. The gradient is registered in
// fastcv/ops/correlation.py.
#include "correlation/correlation.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_correlation(const at::Tensor& a, const at::Tensor& b, int64_t radius) {
  TORCH_CHECK(a.dim() == 4, "correlation: a must have shape [B, C, H, W], got ", a.sizes());
  check_floating("correlation", a, "a");
  TORCH_CHECK(b.sizes() == a.sizes(), "correlation: b must have the shape of a, ", a.sizes(),
              ", got ", b.sizes());
  check_like("correlation", b, "b", a, "a");
  TORCH_CHECK(radius >= 0 && radius <= 32767, "correlation: radius must be 0 to 32767, got ",
              radius);
}

void check_correlation_backward(const at::Tensor& grad, const at::Tensor& a, const at::Tensor& b,
                                int64_t radius) {
  check_correlation(a, b, radius);
  const CorrelationShape s = correlation_shape(a, radius);
  TORCH_CHECK(grad.dim() == 4 && grad.size(0) == s.batch && grad.size(1) == s.displacements() &&
                  grad.size(2) == s.height && grad.size(3) == s.width,
              "correlation: grad must have the output's shape, got ", grad.sizes());
  check_like("correlation", grad, "grad", a, "a");
}

CorrelationShape correlation_shape(const at::Tensor& a, int64_t radius) {
  return {a.size(0), a.size(1), a.size(2), a.size(3), radius};
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("correlation(Tensor a, Tensor b, int radius) -> Tensor");
  m.def(
      "_correlation_backward(Tensor grad, Tensor a, Tensor b, int radius, bool of_a, bool of_b) -> "
      "(Tensor, Tensor)");
}

}  // namespace fastcv
