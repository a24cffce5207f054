// What does not depend on the device: schema and checks. The gradient is registered in
// fastcv/ops/identity.py.
#include "identity/identity.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_identity(const at::Tensor& x) { check_floating("identity", x, "x"); }

TORCH_LIBRARY_FRAGMENT(fastcv, m) { m.def("identity(Tensor x) -> Tensor"); }

}  // namespace fastcv
