// What does not depend on the device: schema, checks, gradient.
#include "identity/identity.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "common/host/call_op.h"
#include "common/host/checks.h"

namespace fastcv {

void check_identity(const at::Tensor& x) { check_floating(x, "identity", "x"); }

namespace {

at::Tensor identity(const at::Tensor& x) {
  static const auto op = find_op<at::Tensor(const at::Tensor&)>("fastcv::identity");
  return op.call(x);
}

struct Identity : torch::autograd::Function<Identity> {
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return identity(x);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& grads) {
    return {identity(grads[0])};
  }
};

at::Tensor identity_autograd(const at::Tensor& x) { return Identity::apply(x); }

}  // namespace

TORCH_LIBRARY_FRAGMENT(fastcv, m) { m.def("identity(Tensor x) -> Tensor"); }

TORCH_LIBRARY_IMPL(fastcv, Autograd, m) { m.impl("identity", identity_autograd); }

}  // namespace fastcv
