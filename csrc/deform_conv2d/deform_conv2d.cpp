// What does not depend on the device: schema, checks, autocast. The gradient is registered in
// fastcv/ops/deform_conv.py.
#include "deform_conv2d/deform_conv2d.h"

#include <torch/library.h>

#include <limits>

#include "common/host/autocast.h"
#include "common/host/call_op.h"
#include "common/host/checks.h"

namespace fastcv {
namespace {

constexpr int64_t max_int = std::numeric_limits<int32_t>::max();

void check_argument(const char* op, const at::Tensor& t, const char* name, int64_t dim,
                    const at::Tensor& input) {
  check_dimensions(op, t, name, dim);
  check_like(op, t, name, input, "input");
}

// Not check_pair: DeformShape counts in int.
void check_int_pair(const char* op, at::IntArrayRef pair, const char* name, int64_t min) {
  const auto fits = [&](int64_t n) { return n >= min && n < max_int; };
  TORCH_CHECK(pair.size() == 2 && fits(pair[0]) && fits(pair[1]), op, ": ", name,
              " must be two numbers from ", min, " on, got ", pair);
}

int out_size(const char* op, const char* axis, int64_t size, int64_t kernel, int64_t stride,
             int64_t padding, int64_t dilation) {
  const int64_t padded = size + 2 * padding;
  TORCH_CHECK(padded < max_int, op, ": input and padding together must be below 2^31 pixels ", axis,
              ", got ", padded);
  const int64_t reach = dilation * (kernel - 1) + 1;
  TORCH_CHECK(reach <= padded, op, ": the kernel must not be larger than the padded input, got ",
              reach, " pixels against ", padded, " ", axis);
  return static_cast<int>((padded - reach) / stride + 1);
}

DeformShape check(const char* op, const at::Tensor& input, const at::Tensor& offset,
                  const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                  at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation,
                  const std::optional<at::Tensor>& mask) {
  check_dimensions(op, input, "input", 4);
  check_floating(op, input, "input");
  check_argument(op, offset, "offset", 4, input);
  check_argument(op, weight, "weight", 4, input);
  if (mask) check_argument(op, *mask, "mask", 4, input);
  check_int_pair(op, stride, "stride", 1);
  check_int_pair(op, padding, "padding", 0);
  check_int_pair(op, dilation, "dilation", 1);
  TORCH_CHECK(weight.size(2) > 0 && weight.size(3) > 0 && weight.size(2) < (1 << 15) &&
                  weight.size(3) < (1 << 15),
              op, ": weight must have a kernel of at least a tap, got shape ", weight.sizes());
  TORCH_CHECK(input.size(2) <= max_int && input.size(3) <= max_int &&
                  input.size(2) * input.size(3) <= max_int,
              op, ": input must have fewer than 2^31 pixels, got ", input.size(2), " x ",
              input.size(3));

  DeformShape s;
  s.batch = input.size(0), s.channels = input.size(1), s.out_channels = weight.size(0);
  s.height = static_cast<int>(input.size(2)), s.width = static_cast<int>(input.size(3));
  s.kernel_height = static_cast<int>(weight.size(2));
  s.kernel_width = static_cast<int>(weight.size(3));
  s.stride_height = static_cast<int>(stride[0]), s.stride_width = static_cast<int>(stride[1]);
  s.padding_height = static_cast<int>(padding[0]), s.padding_width = static_cast<int>(padding[1]);
  s.dilation_height = static_cast<int>(dilation[0]);
  s.dilation_width = static_cast<int>(dilation[1]);
  s.out_height =
      out_size(op, "high", s.height, s.kernel_height, stride[0], padding[0], dilation[0]);
  s.out_width = out_size(op, "wide", s.width, s.kernel_width, stride[1], padding[1], dilation[1]);
  TORCH_CHECK(s.out_pixels() <= max_int, op, ": output must have fewer than 2^31 pixels, got ",
              s.out_height, " x ", s.out_width);

  const int64_t of_group = weight.size(1);
  TORCH_CHECK(of_group == 0 ? s.channels == 0 : s.channels % of_group == 0 && s.channels > 0, op,
              ": input's channels must be a multiple of weight's, got ", s.channels, " and ",
              of_group);
  const int64_t groups = of_group == 0 ? 1 : s.channels / of_group;
  TORCH_CHECK(groups <= max_int && s.out_channels % groups == 0, op,
              ": weight must have a multiple of ", groups,
              " output channels, for as many groups, got ", s.out_channels);
  s.groups = static_cast<int>(groups);

  if (bias) {
    check_argument(op, *bias, "bias", 1, input);
    TORCH_CHECK(bias->size(0) == weight.size(0), op, ": bias must have shape [", weight.size(0),
                "], got ", bias->sizes());
  }

  const int64_t taps = s.taps(), offset_groups = offset.size(1) / (2 * taps);
  TORCH_CHECK(offset_groups > 0 && offset.size(1) == offset_groups * 2 * taps, op,
              ": offset must have a multiple of 2 * kernel height * kernel width = ", 2 * taps,
              " channels, got ", offset.size(1));
  TORCH_CHECK(offset_groups <= max_int && s.channels % offset_groups == 0, op,
              ": input's channels must be a multiple of the offset groups, got ", s.channels,
              " and ", offset_groups);
  s.offset_groups = static_cast<int>(offset_groups);
  const std::array<int64_t, 4> positions{s.batch, offset.size(1), s.out_height, s.out_width};
  TORCH_CHECK(offset.sizes() == at::IntArrayRef(positions), op, ": offset must have shape ",
              at::IntArrayRef(positions), ", got ", offset.sizes());
  if (mask) {
    const std::array<int64_t, 4> masks{s.batch, offset_groups * taps, s.out_height, s.out_width};
    TORCH_CHECK(mask->sizes() == at::IntArrayRef(masks), op, ": mask must have shape ",
                at::IntArrayRef(masks), ", got ", mask->sizes());
  }
  return s;
}

}  // namespace

DeformShape check_deform_conv2d(const at::Tensor& input, const at::Tensor& offset,
                                const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                                at::IntArrayRef stride, at::IntArrayRef padding,
                                at::IntArrayRef dilation, const std::optional<at::Tensor>& mask) {
  return check("deform_conv2d", input, offset, weight, bias, stride, padding, dilation, mask);
}

DeformShape check_deform_conv2d_backward(const at::Tensor& grad, const at::Tensor& input,
                                         const at::Tensor& offset, const at::Tensor& weight,
                                         const std::optional<at::Tensor>& mask,
                                         at::IntArrayRef stride, at::IntArrayRef padding,
                                         at::IntArrayRef dilation) {
  const char* op = "_deform_conv2d_backward";
  const DeformShape s =
      check(op, input, offset, weight, std::nullopt, stride, padding, dilation, mask);
  check_argument(op, grad, "grad", 4, input);
  const std::array<int64_t, 4> shape{s.batch, s.out_channels, s.out_height, s.out_width};
  TORCH_CHECK(grad.sizes() == at::IntArrayRef(shape), op, ": grad must have shape ",
              at::IntArrayRef(shape), ", got ", grad.sizes());
  return s;
}

namespace {

at::Tensor autocast(const at::Tensor& input, const at::Tensor& offset, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                    at::IntArrayRef padding, at::IntArrayRef dilation,
                    const std::optional<at::Tensor>& mask) {
  static const auto op = find_op<decltype(autocast)>("fastcv::deform_conv2d");
  const Autocast cast(input);
  return op.call(cast(input), cast(offset), cast(weight), cast(bias), stride, padding, dilation,
                 cast(mask));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "deform_conv2d(Tensor input, Tensor offset, Tensor weight, Tensor? bias, int[2] stride, "
      "int[2] padding, int[2] dilation, Tensor? mask) -> Tensor");
  m.def(
      "_deform_conv2d_backward(Tensor grad, Tensor input, Tensor offset, Tensor weight, "
      "Tensor? mask, int[2] stride, int[2] padding, int[2] dilation, bool of_input, "
      "bool of_offset, bool of_weight) -> (Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(fastcv, AutocastCPU, m) { m.impl("deform_conv2d", autocast); }
TORCH_LIBRARY_IMPL(fastcv, AutocastCUDA, m) { m.impl("deform_conv2d", autocast); }

}  // namespace fastcv
