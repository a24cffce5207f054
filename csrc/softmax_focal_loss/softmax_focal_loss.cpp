// What does not depend on the device: schema and checks. The gradient is registered in
// fastcv/ops/focal_loss.py.
#include "softmax_focal_loss/softmax_focal_loss.h"

#include <torch/library.h>

namespace fastcv {

void check_softmax_focal_loss(const at::Tensor& inputs, const at::Tensor& targets,
                              const std::optional<at::Tensor>& class_alpha, double gamma,
                              const std::optional<at::Tensor>& weight, const at::Tensor* grad) {
  const char* op = grad == nullptr ? "softmax_focal_loss" : "_softmax_focal_loss_backward";
  check_floating(op, inputs, "inputs");
  TORCH_CHECK(inputs.dim() == 2, op, ": inputs must have shape [N, C], got ", inputs.sizes());
  const int64_t rows = inputs.size(0), classes = inputs.size(1);
  check_same_device(op, inputs, "inputs", targets, "targets");
  if (has_probabilities(targets)) {
    check_floating(op, targets, "targets of shape [N, C]");
    TORCH_CHECK(targets.sizes() == inputs.sizes(), op,
                ": targets as probabilities must have the shape of inputs, ", inputs.sizes(),
                ", got ", targets.sizes());
  } else {
    TORCH_CHECK(targets.dim() == 1 && targets.size(0) == rows, op, ": targets must have shape [",
                rows, "] or [", rows, ", ", classes, "], got ", targets.sizes());
    TORCH_CHECK(at::isIntegralType(targets.scalar_type(), /*includeBool=*/false), op,
                ": targets of shape [N] must be class indices of an integer dtype, got ",
                targets.scalar_type());
  }
  check_gamma(op, gamma);
  if (class_alpha.has_value()) {
    check_floating(op, *class_alpha, "alpha");
    check_same_device(op, inputs, "inputs", *class_alpha, "alpha");
    TORCH_CHECK(class_alpha->dim() == 1 && class_alpha->size(0) == classes, op,
                ": alpha must have shape [C] with C = ", classes, ", got ", class_alpha->sizes());
  }
  if (weight.has_value()) {
    check_real(op, *weight, "weight");
    check_same_device(op, inputs, "inputs", *weight, "weight");
    check_leading(op, *weight, "weight", {rows, 1});
  }
  if (grad != nullptr) {
    check_real(op, *grad, "grad");
    check_same_device(op, inputs, "inputs", *grad, "grad");
    TORCH_CHECK(grad->dim() == 0 || (grad->dim() == 1 && grad->size(0) == rows), op,
                ": grad must have shape [", rows, "] or [], got ", grad->sizes());
  }
}

at::Tensor row_weights(const std::optional<at::Tensor>& weight, const at::Tensor& inputs) {
  if (!weight.has_value()) return {};
  return expand_leading(weight->to(wide_dtype(inputs)), {inputs.size(0), 1}).contiguous();
}

at::Tensor class_weights(const std::optional<at::Tensor>& class_alpha, const at::Tensor& inputs) {
  if (!class_alpha.has_value()) return {};
  return class_alpha->to(wide_dtype(inputs)).contiguous();
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "softmax_focal_loss(Tensor inputs, Tensor targets, float alpha, Tensor? class_alpha, "
      "float gamma, Tensor? weight, int ignore_index, bool reduce) -> (Tensor, Tensor)");
  m.def(
      "_softmax_focal_loss_backward(Tensor grad, Tensor inputs, Tensor targets, float alpha, "
      "Tensor? class_alpha, float gamma, Tensor? weight, int ignore_index) -> Tensor");
}

}  // namespace fastcv
