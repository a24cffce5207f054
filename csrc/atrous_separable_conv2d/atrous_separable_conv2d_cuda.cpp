#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "atrous_separable_conv2d/atrous_separable_conv2d.h"
#include "atrous_separable_conv2d/atrous_separable_conv2d_kernel.h"
#include "common/cuda/cuda_launcher.h"
#include "common/host/fill_with_bias.h"
#include "common/host/memory_format.h"

namespace fastcv {
namespace {

at::Tensor atrous_separable_conv2d_cuda(const at::Tensor& input, const at::Tensor& depthwise_weight,
                                        const at::Tensor& pointwise_weight,
                                        const std::optional<at::Tensor>& depthwise_bias,
                                        const std::optional<at::Tensor>& pointwise_bias,
                                        at::IntArrayRef stride, at::IntArrayRef padding,
                                        at::IntArrayRef dilation,
                                        std::optional<std::string_view> activation) {
  const SeparableShape s =
      check_atrous_separable_conv2d(input, depthwise_weight, pointwise_weight, depthwise_bias,
                                    pointwise_bias, stride, padding, dilation, activation);
  const c10::cuda::CUDAGuard device_guard(input.device());
  at::Tensor output =
      empty_in_format_of(input, {s.batch, s.out_channels, s.out_height, s.out_width});
  if (output.numel() == 0) return output;
  if (input.numel() == 0) return fill_with_bias(output, pointwise_bias);
  const at::Tensor dw = depthwise_weight.permute({2, 3, 1, 0}).contiguous();
  const at::Tensor pw = pointwise_weight.contiguous();
  const auto dense = [](const std::optional<at::Tensor>& bias) {
    return bias ? bias->contiguous() : at::Tensor();
  };
  const at::Tensor db = dense(depthwise_bias), pb = dense(pointwise_bias);
  dispatch_floating(input.scalar_type(), "atrous_separable_conv2d", "input", [&]<typename T>() {
    const auto pointer = [](const at::Tensor& t) {
      return t.defined() ? device_ptr<T>(t) : nullptr;
    };
    cuda::launch_separable(strided<T>(input), device_ptr<T>(dw), pointer(db), device_ptr<T>(pw),
                           pointer(pb), mutable_strided<T>(output), s,
                           c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return output;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("atrous_separable_conv2d", atrous_separable_conv2d_cuda);
  m.impl("_atrous_separable_conv2d_backward", atrous_separable_conv2d_backward);
}

}  // namespace fastcv
