// Schema, checks, autocast. The gradient is registered in fastcv/ops/transposed_conv.py: it is
// made of ops of torch's.
#include "conv_transpose2d/conv_transpose2d.h"

#include <torch/library.h>

#include "common/host/autocast.h"
#include "common/host/call_op.h"
#include "common/host/checks.h"

namespace fastcv {
namespace {

constexpr const char* op = "conv_transpose2d";

}  // namespace

TransposedShape check_conv_transpose2d(const at::Tensor& input, const at::Tensor& weight,
                                       const std::optional<at::Tensor>& bias,
                                       at::IntArrayRef stride, at::IntArrayRef padding,
                                       at::IntArrayRef output_padding, int64_t groups,
                                       at::IntArrayRef dilation) {
  check_floating(op, input, "input");
  TORCH_CHECK(input.dim() == 4 && input.size(2) > 0 && input.size(3) > 0, op,
              ": input must have shape [N, C, H, W] with H and W above 0, got ", input.sizes());
  check_pair(op, stride, "stride", 1);
  check_pair(op, padding, "padding", 0);
  check_pair(op, output_padding, "output_padding", 0);
  check_pair(op, dilation, "dilation", 1);
  TORCH_CHECK(groups > 0 && input.size(1) % groups == 0, op,
              ": groups must be above 0 and divide input's channels, got ", groups, " for ",
              input.size(1), " channels");
  TORCH_CHECK(weight.dim() == 4 && weight.size(0) == input.size(1) && weight.size(2) > 0 &&
                  weight.size(3) > 0,
              op, ": weight must have shape [", input.size(1),
              ", output channels / groups, height, width], got ", weight.sizes());
  const int64_t out_channels = weight.size(1) * groups;
  check_like(op, weight, "weight", input, "input");
  if (bias) {
    TORCH_CHECK(bias->dim() == 1 && bias->size(0) == out_channels, op, ": bias must have shape [",
                out_channels, "], got ", bias->sizes());
    check_like(op, *bias, "bias", input, "input");
  }
  for (int i = 0; i < 2; ++i) {
    TORCH_CHECK(output_padding[i] < std::max(stride[i], dilation[i]), op,
                ": output_padding must be below stride or dilation, got ", output_padding,
                " with stride ", stride, " and dilation ", dilation);
  }
  const auto out_size = [&](int i) {
    return (input.size(2 + i) - 1) * stride[i] - 2 * padding[i] +
           dilation[i] * (weight.size(2 + i) - 1) + output_padding[i] + 1;
  };
  TORCH_CHECK(out_size(0) > 0 && out_size(1) > 0, op, ": the output must be at least a pixel, got ",
              out_size(0), " x ", out_size(1), "; lower padding");
  return {input.size(0),
          input.size(1),
          input.size(2),
          input.size(3),
          out_channels,
          out_size(0),
          out_size(1),
          groups,
          weight.size(2),
          weight.size(3),
          stride[0],
          stride[1],
          padding[0],
          padding[1],
          dilation[0] != 1 || dilation[1] != 1,
          output_padding[0] != 0 || output_padding[1] != 0};
}

namespace {

at::Tensor autocast(const at::Tensor& input, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                    at::IntArrayRef padding, at::IntArrayRef output_padding, int64_t groups,
                    at::IntArrayRef dilation) {
  static const auto call = find_op<decltype(autocast)>("fastcv::conv_transpose2d");
  const Autocast cast(input);
  return call.call(cast(input), cast(weight), cast(bias), stride, padding, output_padding, groups,
                   dilation);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "conv_transpose2d(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, "
      "int[2] padding=0, int[2] output_padding=0, int groups=1, int[2] dilation=1) -> Tensor");
}

TORCH_LIBRARY_IMPL(fastcv, AutocastCPU, m) { m.impl("conv_transpose2d", autocast); }
TORCH_LIBRARY_IMPL(fastcv, AutocastCUDA, m) { m.impl("conv_transpose2d", autocast); }

}  // namespace fastcv
