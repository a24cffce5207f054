#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include "common/cuda/cuda_launcher.h"
#include "corner_pool/corner_pool.h"
#include "corner_pool/corner_pool_kernel.h"

namespace fastcv {
namespace {

cuda::CornerPoolLines device_lines(const at::Tensor& dense, std::string_view direction) {
  const PoolLines lines = pool_lines(dense, direction);
  return {lines.outer, lines.length, lines.inner, lines.backwards};
}

at::Tensor corner_pool_cuda(const at::Tensor& input, std::string_view direction) {
  check_corner_pool(input, direction);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const at::Tensor source = dense_like(input, input);
  const at::Tensor output = at::empty_like(source);
  if (output.numel() == 0) return output;
  dispatch_floating(input.scalar_type(), "corner_pool", "input", [&]<typename T>() {
    cuda::launch_corner_pool(device_lines(source, direction), device_ptr<T>(source),
                             mutable_device_ptr<T>(output), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return output;
}

at::Tensor corner_pool_backward_cuda(const at::Tensor& grad, const at::Tensor& input,
                                     const at::Tensor& output, std::string_view direction) {
  check_corner_pool_backward(grad, input, output, direction);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const at::Tensor x = dense_like(input, input), y = dense_like(output, input);
  const at::Tensor by_output = dense_like(grad, input), by_input = at::empty_like(x);
  if (by_input.numel() == 0) return by_input;
  dispatch_floating(input.scalar_type(), "corner_pool", "input", [&]<typename T>() {
    cuda::launch_corner_pool_backward(
        device_lines(x, direction), device_ptr<T>(by_output), device_ptr<T>(x), device_ptr<T>(y),
        mutable_device_ptr<T>(by_input), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return by_input;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("corner_pool", corner_pool_cuda);
  m.impl("_corner_pool_backward", corner_pool_backward_cuda);
}

}  // namespace fastcv
