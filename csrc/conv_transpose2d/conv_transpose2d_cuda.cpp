#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "common/cuda/cuda_launcher.h"
#include "common/host/fill_with_bias.h"
#include "common/host/memory_format.h"
#include "conv_transpose2d/conv_transpose2d.h"
#include "conv_transpose2d/conv_transpose2d_kernel.h"

namespace fastcv {
namespace {

// One product needs tensor cores to gain on cuDNN's, which computes float32 in TF32, and gains by
// what cuDNN needs to bring NCHW to channels_last and back.
bool is_ours(const at::Tensor& input, const TransposedShape& s) {
  const TransposedPath path = path_of(s);
  const bool half = input.scalar_type() == at::kHalf || input.scalar_type() == at::kBFloat16;
  const bool last = input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  return path == TransposedPath::depthwise ||
         (path == TransposedPath::no_overlap && half && !last && s.groups < 65536);
}

// [C, D, kh, kw] as the kernel takes it: [groups, columns, C / groups].
at::Tensor weight_columns(const at::Tensor& weight, int64_t groups) {
  return weight.unflatten(0, at::IntArrayRef({groups, weight.size(0) / groups}))
      .permute({0, 2, 3, 4, 1})
      .contiguous();
}

at::Tensor conv_transpose2d_cuda(const at::Tensor& input, const at::Tensor& weight,
                                 const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                                 at::IntArrayRef padding, at::IntArrayRef output_padding,
                                 int64_t groups, at::IntArrayRef dilation) {
  const TransposedShape s = check_conv_transpose2d(input, weight, bias, stride, padding,
                                                   output_padding, groups, dilation);
  const c10::cuda::CUDAGuard device_guard(input.device());
  if (input.numel() != 0 && weight.numel() != 0 && !is_ours(input, s)) {
    return at::conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups,
                                dilation)
        .contiguous(input.suggest_memory_format());
  }
  at::Tensor output =
      empty_in_format_of(input, {s.batch, s.out_channels, s.out_height, s.out_width});
  if (output.numel() == 0) return output;
  if (input.numel() == 0) return fill_with_bias(output, bias);
  const bool channels_last = input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const bool depthwise = path_of(s) == TransposedPath::depthwise;
  const at::Tensor w = !depthwise      ? weight_columns(weight, groups)
                       : channels_last ? weight.permute({2, 3, 1, 0}).contiguous()
                                       : weight.contiguous();
  const at::Tensor b = bias ? bias->contiguous() : at::Tensor();
  dispatch_floating(input.scalar_type(), "conv_transpose2d", "input", [&]<typename T>() {
    const auto* biases = b.defined() ? device_ptr<T>(b) : nullptr;
    const auto stream = c10::cuda::getCurrentCUDAStream();
    if (depthwise) {
      cuda::launch_depthwise_transposed(strided<T>(input), device_ptr<T>(w), biases,
                                        mutable_strided<T>(output), s, channels_last, stream);
    } else if constexpr (sizeof(T) == 2) {
      cuda::launch_no_overlap(strided<T>(input), device_ptr<T>(w), biases,
                              mutable_strided<T>(output), s, stream);
    }
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return output;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("conv_transpose2d", conv_transpose2d_cuda); }

}  // namespace fastcv
