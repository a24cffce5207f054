#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "common/cuda/cuda_launcher.h"
#include "encode_heatmaps/encode_heatmaps.h"
#include "encode_heatmaps/encode_heatmaps_kernel.h"

namespace fastcv {
namespace {

template <typename T>
cuda::Bump<T> device_bump(double sigma, std::string_view kind, bool scaled) {
  const BumpScales scales = bump_scales(sigma, kind, scaled);
  return {static_cast<acc_t<T>>(scales.per_square), static_cast<acc_t<T>>(scales.peak),
          scales.cauchy};
}

at::Tensor encode_heatmaps_cuda(const at::Tensor& points, int64_t height, int64_t width,
                                double sigma, std::string_view kind, bool scaled) {
  check_encode_heatmaps(points, height, width, sigma, kind);
  const c10::cuda::CUDAGuard device_guard(points.device());
  c10::DimVector shape(points.sizes().begin(), points.sizes().end() - 1);
  shape.append({height, width});
  const at::Tensor heatmaps = at::empty(shape, points.options());
  if (heatmaps.numel() == 0) return heatmaps;
  const at::Tensor dense = points.contiguous();
  dispatch_floating(points.scalar_type(), "encode_heatmaps", "points", [&]<typename T>() {
    cuda::launch_encode_heatmaps(
        device_ptr<T>(dense), dense.numel() / 2, static_cast<int32_t>(height),
        static_cast<int32_t>(width), device_bump<device_t<T>>(sigma, kind, scaled),
        mutable_device_ptr<T>(heatmaps), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return heatmaps;
}

at::Tensor encode_heatmaps_backward_cuda(const at::Tensor& grad, const at::Tensor& points,
                                         double sigma, std::string_view kind, bool scaled) {
  check_encode_heatmaps_backward(grad, points, sigma, kind);
  const c10::cuda::CUDAGuard device_guard(points.device());
  const at::Tensor by_points = at::empty(points.sizes(), points.options());
  if (by_points.numel() == 0) return by_points;
  const at::Tensor dense = points.contiguous(), by_heatmaps = grad.contiguous();
  dispatch_floating(points.scalar_type(), "encode_heatmaps", "points", [&]<typename T>() {
    cuda::launch_encode_heatmaps_backward(
        device_ptr<T>(by_heatmaps), device_ptr<T>(dense), dense.numel() / 2,
        static_cast<int32_t>(grad.size(-2)), static_cast<int32_t>(grad.size(-1)),
        device_bump<device_t<T>>(sigma, kind, scaled), mutable_device_ptr<T>(by_points),
        c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return by_points;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("encode_heatmaps", encode_heatmaps_cuda);
  m.impl("_encode_heatmaps_backward", encode_heatmaps_backward_cuda);
}

}  // namespace fastcv
