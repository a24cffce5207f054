#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "decode_heatmaps/decode_heatmaps.h"
#include "decode_heatmaps/decode_heatmaps_kernel.h"

namespace fastcv {
namespace {

std::tuple<at::Tensor, at::Tensor> decode_heatmaps_cuda(const at::Tensor& heatmaps,
                                                        std::string_view kind) {
  const PeakKind peak = check_decode_heatmaps(heatmaps, kind);
  const c10::cuda::CUDAGuard device_guard(heatmaps.device());
  c10::DimVector shape(heatmaps.sizes().begin(), heatmaps.sizes().end() - 2);
  const at::Tensor scores = at::empty(shape, heatmaps.options());
  shape.push_back(2);
  const at::Tensor points = at::empty(shape, heatmaps.options());
  if (heatmaps.numel() == 0) return {points, scores};
  const at::Tensor dense = heatmaps.contiguous();
  dispatch_floating(heatmaps.scalar_type(), "decode_heatmaps", "heatmaps", [&]<typename T>() {
    cuda::launch_decode_heatmaps(
        device_ptr<T>(dense), scores.numel(), static_cast<int32_t>(heatmaps.size(-2)),
        static_cast<int32_t>(heatmaps.size(-1)), peak, mutable_device_ptr<T>(points),
        mutable_device_ptr<T>(scores), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return {points, scores};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("decode_heatmaps", decode_heatmaps_cuda); }

}  // namespace fastcv
