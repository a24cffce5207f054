// CUDA launcher: check, guard the device, allocate, take the current stream, launch, check the
// launch.
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include "common/cuda/cuda_launcher.h"
#include "identity/identity.h"
#include "identity/identity_kernel.h"

namespace fastcv {
namespace {

at::Tensor identity_cuda(const at::Tensor& x) {
  check_identity(x);
  const c10::cuda::CUDAGuard device_guard(x.device());
  at::Tensor y = at::empty_like(x);
  const at::Tensor source =
      x.strides() == y.strides() ? x : x.contiguous(x.suggest_memory_format());
  dispatch_floating(x.scalar_type(), "identity", "x", [&]<typename T>() {
    cuda::launch_identity(device_ptr<T>(source), mutable_device_ptr<T>(y), x.numel(),
                          c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return y;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("identity", identity_cuda); }

}  // namespace fastcv
