// The gradient, a band of output rows at a time: what lies between the two convolutions is made
// anew from the rows of input that the band reads. Each step is an op of torch's.
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/threshold_backward.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>

#include "atrous_separable_conv2d/atrous_separable_conv2d.h"

namespace fastcv {
namespace {

constexpr int64_t band_bytes = int64_t{8} << 20;  // of one map of a band; there are up to six

void check_grad(const at::Tensor& grad, const at::Tensor& input, const SeparableShape& s) {
  TORCH_CHECK(
      grad.sizes() == at::IntArrayRef({s.batch, s.out_channels, s.out_height, s.out_width}) &&
          grad.scalar_type() == input.scalar_type() && grad.device() == input.device(),
      "_atrous_separable_conv2d_backward: grad must be like the output, ", input.dtype(), " [",
      s.batch, ", ", s.out_channels, ", ", s.out_height, ", ", s.out_width, "], got ", grad.dtype(),
      " ", grad.sizes());
}

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>
atrous_separable_conv2d_backward(const at::Tensor& grad, const at::Tensor& input,
                                 const at::Tensor& depthwise_weight,
                                 const at::Tensor& pointwise_weight,
                                 const std::optional<at::Tensor>& depthwise_bias,
                                 at::IntArrayRef stride, at::IntArrayRef padding,
                                 at::IntArrayRef dilation,
                                 std::optional<std::string_view> activation) {
  const SeparableShape s =
      check_atrous_separable_conv2d(input, depthwise_weight, pointwise_weight, depthwise_bias,
                                    std::nullopt, stride, padding, dilation, activation);
  check_grad(grad, input, s);
  // Sums over bands in float32 at least; on the CPU, that is also the fastest for half precision.
  const auto dtype = input.scalar_type();
  const auto wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const auto compute = input.is_cpu() ? wide : dtype;
  // oneDNN's depthwise convolution is half as fast in channels_last.
  const auto format = input.is_cpu() ? at::MemoryFormat::Contiguous : input.suggest_memory_format();
  const at::Tensor dw = depthwise_weight.to(compute), pw = pointwise_weight.to(compute);
  const auto db = depthwise_bias ? std::optional(depthwise_bias->to(compute)) : std::nullopt;

  const auto zeros = [&](at::IntArrayRef shape) {
    return at::zeros(shape, input.options().dtype(wide));
  };
  at::Tensor grad_input = at::zeros_like(input, input.suggest_memory_format());
  at::Tensor grad_dw = zeros(dw.sizes()), grad_pw = zeros(pw.sizes());
  at::Tensor grad_db = zeros({s.channels}), grad_pb = zeros({s.out_channels});

  const std::array<bool, 3> all{true, true, true};
  const std::array<int64_t, 2> one{1, 1}, none{0, 0}, columns{0, s.pad_width};
  const int64_t row_bytes =
      std::max(s.channels, s.out_channels) * std::max(s.width, s.out_width) * 4 + 1;
  const int64_t band = std::max<int64_t>(1, band_bytes / row_bytes);
  const bool empty = input.numel() == 0 || grad.numel() == 0;
  for (int64_t n = 0; n < (empty ? 0 : s.batch); ++n) {
    for (int64_t y = 0; y < s.out_height; y += band) {
      const int64_t rows = std::min(band, s.out_height - y);
      // The rows of input that it reads, padding included, and those of them that exist.
      const int64_t first = y * s.stride_height - s.pad_height;
      const int64_t end =
          first + (rows - 1) * s.stride_height + (s.kernel_height - 1) * s.dilation_height + 1;
      const int64_t low = std::clamp<int64_t>(first, 0, s.height);
      const int64_t high = std::clamp<int64_t>(end, low, s.height);
      const bool outside = low == high;  // all padding
      const at::Tensor there =
          input.narrow(0, n, 1).narrow(2, low, high - low).to(compute).contiguous(format);
      const at::Tensor x = outside
                               ? at::zeros({1, s.channels, end - first, s.width}, there.options())
                               : at::constant_pad_nd(there, {0, 0, low - first, end - high});
      at::Tensor z = at::conv2d(x, dw, db, stride, columns, dilation, s.channels);
      if (s.relu) z = z.relu_();
      const at::Tensor g = grad.narrow(0, n, 1).narrow(2, y, rows).to(compute).contiguous(format);
      auto [grad_z, of_pw, of_pb] = at::convolution_backward(
          g, z, pw, at::IntArrayRef({s.out_channels}), one, none, one, false, none, 1, all);
      if (s.relu) grad_z = at::threshold_backward(grad_z, z, 0);
      const auto [grad_x, of_dw, of_db] =
          at::convolution_backward(grad_z, x, dw, at::IntArrayRef({s.channels}), stride, columns,
                                   dilation, false, none, s.channels, all);
      if (!outside) {
        grad_input.narrow(0, n, 1).narrow(2, low, high - low) +=
            grad_x.narrow(2, low - first, high - low);
      }
      grad_dw += of_dw;
      grad_pw += of_pw;
      grad_db += of_db;
      grad_pb += of_pb;
    }
  }
  if (input.numel() == 0) grad_pb = grad.to(wide).sum(at::IntArrayRef({0, 2, 3}));
  return {grad_input, grad_dw.to(dtype), grad_pw.to(dtype), grad_db.to(dtype), grad_pb.to(dtype)};
}

}  // namespace fastcv
