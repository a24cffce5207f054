// Schema, checks, autocast. The gradient is registered in fastcv/ops/separable_conv.py.
#include "atrous_separable_conv2d/atrous_separable_conv2d.h"

#include <torch/library.h>

#include "common/host/autocast.h"
#include "common/host/call_op.h"
#include "common/host/checks.h"

namespace fastcv {
namespace {

constexpr const char* op = "atrous_separable_conv2d";

void check_bias(const std::optional<at::Tensor>& bias, const char* name, int64_t channels,
                const at::Tensor& input) {
  if (!bias) return;
  TORCH_CHECK(bias->dim() == 1 && bias->size(0) == channels, op, ": ", name, " must have shape [",
              channels, "], got ", bias->sizes());
  check_like(op, *bias, name, input, "input");
}

}  // namespace

SeparableShape check_atrous_separable_conv2d(
    const at::Tensor& input, const at::Tensor& depthwise_weight, const at::Tensor& pointwise_weight,
    const std::optional<at::Tensor>& depthwise_bias,
    const std::optional<at::Tensor>& pointwise_bias, at::IntArrayRef stride,
    at::IntArrayRef padding, at::IntArrayRef dilation, std::optional<std::string_view> activation) {
  const at::Tensor &dw = depthwise_weight, &pw = pointwise_weight;
  check_floating(op, input, "input");
  TORCH_CHECK(input.dim() == 4 && input.size(2) > 0 && input.size(3) > 0, op,
              ": input must have shape [N, C, H, W] with H and W above 0, got ", input.sizes());
  const int64_t channels = input.size(1);
  TORCH_CHECK(dw.dim() == 4 && dw.size(0) == channels && dw.size(1) == 1 && dw.size(2) > 0 &&
                  dw.size(3) > 0,
              op, ": depthwise_weight must have shape [", channels, ", 1, height, width], got ",
              dw.sizes());
  TORCH_CHECK(pw.dim() == 4 && pw.size(1) == channels && pw.size(2) == 1 && pw.size(3) == 1, op,
              ": pointwise_weight must have shape [output channels, ", channels, ", 1, 1], got ",
              pw.sizes());
  check_like(op, dw, "depthwise_weight", input, "input");
  check_like(op, pw, "pointwise_weight", input, "input");
  check_bias(depthwise_bias, "depthwise_bias", channels, input);
  check_bias(pointwise_bias, "pointwise_bias", pw.size(0), input);
  check_pair(op, stride, "stride", 1);
  check_pair(op, padding, "padding", 0);
  check_pair(op, dilation, "dilation", 1);
  TORCH_CHECK(!activation || *activation == "relu", op,
              ": activation must be None or 'relu', got '", activation.value_or(""), "'");
  const auto room = [&](int i) {  // for the kernel to move in
    return input.size(2 + i) + 2 * padding[i] - dilation[i] * (dw.size(2 + i) - 1) - 1;
  };
  TORCH_CHECK(room(0) >= 0 && room(1) >= 0, op, ": the dilated kernel, ",
              dilation[0] * (dw.size(2) - 1) + 1, " x ", dilation[1] * (dw.size(3) - 1) + 1,
              ", must fit into the padded input, ", input.size(2) + 2 * padding[0], " x ",
              input.size(3) + 2 * padding[1]);
  return {input.size(0),
          channels,
          input.size(2),
          input.size(3),
          pw.size(0),
          room(0) / stride[0] + 1,
          room(1) / stride[1] + 1,
          dw.size(2),
          dw.size(3),
          stride[0],
          stride[1],
          padding[0],
          padding[1],
          dilation[0],
          dilation[1],
          activation.has_value()};
}

namespace {

using Optional = std::optional<at::Tensor>;

at::Tensor autocast(const at::Tensor& input, const at::Tensor& depthwise_weight,
                    const at::Tensor& pointwise_weight, const Optional& depthwise_bias,
                    const Optional& pointwise_bias, at::IntArrayRef stride, at::IntArrayRef padding,
                    at::IntArrayRef dilation, std::optional<std::string_view> activation) {
  static const auto call = find_op<decltype(autocast)>("fastcv::atrous_separable_conv2d");
  const Autocast cast(input);
  return call.call(cast(input), cast(depthwise_weight), cast(pointwise_weight),
                   cast(depthwise_bias), cast(pointwise_bias), stride, padding, dilation,
                   activation);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "atrous_separable_conv2d(Tensor input, Tensor depthwise_weight, Tensor pointwise_weight, "
      "Tensor? depthwise_bias=None, Tensor? pointwise_bias=None, int[2] stride=1, "
      "int[2] padding=0, int[2] dilation=1, str? activation=None) -> Tensor");
  m.def(
      "_atrous_separable_conv2d_backward(Tensor grad, Tensor input, Tensor depthwise_weight, "
      "Tensor pointwise_weight, Tensor? depthwise_bias, int[2] stride, int[2] padding, "
      "int[2] dilation, str? activation) -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(fastcv, AutocastCPU, m) { m.impl("atrous_separable_conv2d", autocast); }
TORCH_LIBRARY_IMPL(fastcv, AutocastCUDA, m) { m.impl("atrous_separable_conv2d", autocast); }

}  // namespace fastcv
