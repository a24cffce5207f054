#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "correlation/correlation.h"
#include "correlation/correlation_kernel.h"

namespace fastcv {
namespace {

at::Tensor correlation_cuda(const at::Tensor& a, const at::Tensor& b, int64_t radius) {
  check_correlation(a, b, radius);
  const c10::cuda::CUDAGuard device_guard(a.device());
  const CorrelationShape s = correlation_shape(a, radius);
  const auto format = a.suggest_memory_format();
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  const at::Tensor output = at::empty({s.batch, s.displacements(), s.height, s.width}, a.options());
  if (a.numel() == 0) return output.zero_().contiguous(format);
  dispatch_floating(a.scalar_type(), "correlation", "a", [&]<typename T>() {
    cuda::launch_correlation(s, device_ptr<T>(x), device_ptr<T>(y), mutable_device_ptr<T>(output),
                             c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return output.contiguous(format);
}

std::tuple<at::Tensor, at::Tensor> correlation_backward_cuda(const at::Tensor& grad,
                                                             const at::Tensor& a,
                                                             const at::Tensor& b, int64_t radius,
                                                             bool of_a, bool of_b) {
  check_correlation_backward(grad, a, b, radius);
  const c10::cuda::CUDAGuard device_guard(a.device());
  const CorrelationShape s = correlation_shape(a, radius);
  const at::Tensor by_output = grad.contiguous();
  const auto gradient = [&](bool turned, const at::Tensor& like, const at::Tensor& other) {
    const at::Tensor dense = other.contiguous();
    const at::Tensor out = at::empty_like(dense);
    if (a.numel() > 0) {
      dispatch_floating(a.scalar_type(), "correlation", "a", [&]<typename T>() {
        cuda::launch_correlation_gradient(s, device_ptr<T>(by_output), turned, device_ptr<T>(dense),
                                          mutable_device_ptr<T>(out),
                                          c10::cuda::getCurrentCUDAStream());
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      });
    }
    return out.contiguous(like.suggest_memory_format());
  };
  return {of_a ? gradient(false, a, b) : at::empty({0}, a.options()),
          of_b ? gradient(true, b, a) : at::empty({0}, b.options())};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("correlation", correlation_cuda);
  m.impl("_correlation_backward", correlation_backward_cuda);
}

}  // namespace fastcv
