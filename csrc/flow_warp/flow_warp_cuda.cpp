#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "common/host/memory_format.h"
#include "flow_warp/flow_warp.h"
#include "flow_warp/flow_warp_kernel.h"

namespace fastcv {
namespace {

// The flow in the type that is computed in, dense.
template <typename T>
at::Tensor dense_flow(const at::Tensor& flow) {
  return flow.to(c10::CppTypeToScalarType<device_acc_t<T>>::value).contiguous();
}

at::Tensor flow_warp_cuda(const at::Tensor& input, const at::Tensor& flow, std::string_view padding,
                          bool align_corners) {
  check_flow_warp(input, flow, padding);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const WarpShape s = warp_shape(input, flow, padding, align_corners);
  const at::Tensor output =
      empty_in_format_of(input, {s.batch, s.channels, s.out_height, s.out_width});
  if (output.numel() == 0) return output;
  if (input.numel() == 0) return output.zero_();
  dispatch_floating(input.scalar_type(), "flow_warp", "input", [&]<typename T>() {
    const at::Tensor dense = dense_flow<T>(flow);
    cuda::launch_flow_warp(s, strided<T>(input), dense.const_data_ptr<device_acc_t<T>>(),
                           mutable_strided<T>(output), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return output;
}

std::tuple<at::Tensor, at::Tensor> flow_warp_backward_cuda(
    const at::Tensor& grad, const at::Tensor& input, const at::Tensor& flow,
    std::string_view padding, bool align_corners, bool of_input, bool of_flow) {
  check_flow_warp_backward(grad, input, flow, padding);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const WarpShape s = warp_shape(input, flow, padding, align_corners);
  at::Tensor by_input = at::empty({0}, input.options()), by_flow = at::empty({0}, flow.options());
  const bool empty = input.numel() == 0 || grad.numel() == 0;
  dispatch_floating(input.scalar_type(), "flow_warp", "input", [&]<typename T>() {
    using Acc = device_acc_t<T>;
    const auto stream = c10::cuda::getCurrentCUDAStream();
    const at::Tensor dense = dense_flow<T>(flow);
    if (of_input) {
      const at::Tensor sums =
          at::zeros_like(input, input.options().dtype(c10::CppTypeToScalarType<Acc>::value),
                         input.suggest_memory_format());
      const cuda::Strided<Acc> to{sums.mutable_data_ptr<Acc>(), sums.stride(0), sums.stride(1),
                                  sums.stride(2), sums.stride(3)};
      const bool ordered = at::globalContext().deterministicAlgorithms();
      const auto scatter = ordered ? cuda::launch_flow_warp_ordered_scatter<device_t<T>>
                                   : cuda::launch_flow_warp_scatter<device_t<T>>;
      if (!empty) {
        scatter(s, strided<T>(grad), dense.const_data_ptr<Acc>(), to, stream);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      }
      by_input = sums.to(input.scalar_type());
    }
    if (of_flow) {
      const at::Tensor sums = empty ? at::zeros_like(dense) : at::empty_like(dense);
      if (!empty) {
        cuda::launch_flow_warp_flow_gradient(s, strided<T>(grad), strided<T>(input),
                                             dense.const_data_ptr<Acc>(),
                                             sums.mutable_data_ptr<Acc>(), stream);
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      }
      by_flow = sums.to(flow.scalar_type());
    }
  });
  return {by_input, by_flow};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("flow_warp", flow_warp_cuda);
  m.impl("_flow_warp_backward", flow_warp_backward_cuda);
}

}  // namespace fastcv
