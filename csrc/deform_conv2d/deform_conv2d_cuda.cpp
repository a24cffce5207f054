#include <ATen/Context.h>
#include <torch/library.h>

#include "deform_conv2d/deform_conv2d.h"
#include "deform_conv2d/deform_cuda.h"

namespace fastcv {
namespace {

at::Tensor deform_conv2d_cuda(const at::Tensor& input, const at::Tensor& offset,
                              const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                              at::IntArrayRef stride, at::IntArrayRef padding,
                              at::IntArrayRef dilation, const std::optional<at::Tensor>& mask) {
  const DeformShape s =
      check_deform_conv2d(input, offset, weight, bias, stride, padding, dilation, mask);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const at::Tensor output =
      empty_in_format_of(input, {s.batch, s.out_channels, s.out_height, s.out_width});
  if (output.numel() == 0) return output;
  if (input.numel() == 0) {
    return bias ? output.copy_(bias->view({1, s.out_channels, 1, 1})) : output.zero_();
  }
  // A block makes at least a pixel of an output channel.
  TORCH_CHECK(output.numel() < int64_t{1} << 37,
              "deform_conv2d: output must have fewer than 2^37 elements on CUDA, got ",
              output.sizes());
  const at::Tensor images = dense_images(input);
  const at::Tensor by_tap = weight.permute({0, 2, 3, 1}).contiguous();
  const at::Tensor dense_bias = bias ? bias->contiguous() : at::Tensor();
  const bool tf32 = at::globalContext().allowTF32CuBLAS();
  dispatch_floating(input.scalar_type(), "deform_conv2d", "input", [&]<typename T>() {
    cuda::launch_deform_conv2d(s, pixels<T>(images), positions<T>(offset, mask),
                               device_ptr<T>(by_tap), bias ? device_ptr<T>(dense_bias) : nullptr,
                               tf32, mutable_strided<T>(output), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return output;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("deform_conv2d", deform_conv2d_cuda); }

}  // namespace fastcv
