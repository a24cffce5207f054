// What does not depend on the device: schema and checks. The gradient is registered in
// fastcv/ops/focal_loss.py.
#include "sigmoid_focal_loss/sigmoid_focal_loss.h"

#include <torch/library.h>

namespace fastcv {

void check_sigmoid_focal_loss(const at::Tensor& inputs, const at::Tensor& targets, double alpha,
                              double gamma, const std::optional<at::Tensor>& weight,
                              const at::Tensor* grad) {
  const char* op = grad == nullptr ? "sigmoid_focal_loss" : "_sigmoid_focal_loss_backward";
  check_floating(op, inputs, "inputs");
  TORCH_CHECK(targets.sizes() == inputs.sizes(), op, ": targets must have the shape of inputs, ",
              inputs.sizes(), ", got ", targets.sizes());
  check_real(op, targets, "targets");
  check_same_device(op, inputs, "inputs", targets, "targets");
  TORCH_CHECK((alpha >= 0 && alpha <= 1) || alpha == -1, op,
              ": alpha must be in [0, 1], or -1 for none, got ", alpha);
  check_gamma(op, gamma);
  if (weight.has_value()) {
    check_real(op, *weight, "weight");
    check_same_device(op, inputs, "inputs", *weight, "weight");
    check_leading(op, *weight, "weight", inputs.sizes());
  }
  if (grad != nullptr) {
    check_real(op, *grad, "grad");
    check_same_device(op, inputs, "inputs", *grad, "grad");
    TORCH_CHECK(grad->dim() == 0 || grad->sizes() == inputs.sizes(), op,
                ": grad must have the shape of inputs, ", inputs.sizes(), ", or [], got ",
                grad->sizes());
  }
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "sigmoid_focal_loss(Tensor inputs, Tensor targets, float alpha, float gamma, "
      "Tensor? weight, bool reduce) -> Tensor");
  m.def(
      "_sigmoid_focal_loss_backward(Tensor grad, Tensor inputs, Tensor targets, float alpha, "
      "float gamma, Tensor? weight) -> Tensor");
}

}  // namespace fastcv
