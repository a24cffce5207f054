#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <tuple>

#include "common/roi/roi_launcher.h"
#include "roi_pool/roi_pool.h"
#include "roi_pool/roi_pool_kernel.h"

namespace fastcv {
namespace {

std::tuple<at::Tensor, at::Tensor> roi_pool_cuda(const at::Tensor& input, const at::Tensor& rois,
                                                 double spatial_scale, int64_t pooled_height,
                                                 int64_t pooled_width) {
  check_roi_pool(input, rois, spatial_scale, pooled_height, pooled_width);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const at::Tensor output =
      empty_in_format_of(input, {rois.size(0), input.size(1), pooled_height, pooled_width});
  const at::Tensor argmax = at::empty_like(output, output.options().dtype(at::kInt));
  if (output.numel() == 0) return {output, argmax};
  if (input.numel() == 0) return {output.zero_(), argmax.fill_(-1)};
  const cuda::Extent extent = extent_of("roi_pool", input.size(0), input.size(1), input.size(2),
                                        input.size(3), pooled_height * pooled_width);
  const cuda::RoiPoolOptions options{spatial_scale, static_cast<int>(pooled_height),
                                     static_cast<int>(pooled_width)};
  dispatch_floating(input.scalar_type(), "roi_pool", "input", [&]<typename T>() {
    const at::Tensor boxes = rois_for<T>(rois);
    cuda::launch_roi_pool(strided<T>(input), extent, boxes.const_data_ptr<device_acc_t<T>>(),
                          boxes.size(0), options, mutable_strided<T>(output),
                          argmax.mutable_data_ptr<int32_t>(), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return {output, argmax};
}

at::Tensor roi_pool_backward_cuda(const at::Tensor& grad, const at::Tensor& rois,
                                  const at::Tensor& argmax, double spatial_scale, int64_t batch,
                                  int64_t channels, int64_t height, int64_t width) {
  check_roi_pool_backward(grad, rois, argmax, spatial_scale, batch, channels, height, width);
  const c10::cuda::CUDAGuard device_guard(grad.device());
  const at::Tensor grad_input = empty_in_format_of(grad, {batch, channels, height, width});
  if (grad_input.numel() == 0) return grad_input;
  const cuda::Extent extent =
      extent_of("_roi_pool_backward", batch, channels, height, width, grad.size(2) * grad.size(3));
  const cuda::RoiPoolOptions options{spatial_scale, static_cast<int>(grad.size(2)),
                                     static_cast<int>(grad.size(3))};
  dispatch_floating(grad.scalar_type(), "_roi_pool_backward", "grad", [&]<typename T>() {
    const at::Tensor boxes = rois_for<T>(rois);
    cuda::launch_roi_pool_backward(strided<T>(grad), strided<int32_t>(argmax),
                                   boxes.const_data_ptr<device_acc_t<T>>(), boxes.size(0), options,
                                   mutable_strided<T>(grad_input), extent,
                                   c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return grad_input;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("roi_pool", roi_pool_cuda);
  m.impl("_roi_pool_backward", roi_pool_backward_cuda);
}

}  // namespace fastcv
