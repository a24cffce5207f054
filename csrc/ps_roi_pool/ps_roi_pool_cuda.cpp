#include <torch/library.h>

#include "common/roi/roi_launcher.h"
#include "ps_roi_pool/ps_roi_pool.h"
#include "ps_roi_pool/ps_roi_pool_kernel.h"

namespace fastcv {
namespace {

at::Tensor ps_roi_pool_cuda(const at::Tensor& input, const at::Tensor& rois, double spatial_scale,
                            int64_t pooled_height, int64_t pooled_width) {
  check_ps_roi_pool(input, rois, spatial_scale, pooled_height, pooled_width);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const int64_t channels = input.size(1) / (pooled_height * pooled_width);
  const at::Tensor output =
      empty_in_format_of(input, {rois.size(0), channels, pooled_height, pooled_width});
  if (output.numel() == 0) return output;
  if (input.numel() == 0) return output.zero_();
  const cuda::Extent extent = extent_of("ps_roi_pool", input.size(0), input.size(1), input.size(2),
                                        input.size(3), pooled_height * pooled_width);
  const cuda::PsRoiPoolOptions options{spatial_scale, static_cast<int>(pooled_height),
                                       static_cast<int>(pooled_width)};
  dispatch_floating(input.scalar_type(), "ps_roi_pool", "input", [&]<typename T>() {
    const at::Tensor boxes = rois_for<T>(rois);
    cuda::launch_ps_roi_pool(strided<T>(input), extent, boxes.const_data_ptr<device_acc_t<T>>(),
                             boxes.size(0), options, mutable_strided<T>(output),
                             c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return output;
}

at::Tensor ps_roi_pool_backward_cuda(const at::Tensor& grad, const at::Tensor& rois,
                                     double spatial_scale, int64_t pooled_height,
                                     int64_t pooled_width, int64_t batch, int64_t channels,
                                     int64_t height, int64_t width) {
  check_ps_roi_pool_backward(grad, rois, spatial_scale, pooled_height, pooled_width, batch,
                             channels, height, width);
  const c10::cuda::CUDAGuard device_guard(grad.device());
  const at::Tensor grad_input = empty_in_format_of(grad, {batch, channels, height, width});
  if (grad_input.numel() == 0) return grad_input;
  const cuda::Extent extent = extent_of("_ps_roi_pool_backward", batch, channels, height, width,
                                        pooled_height * pooled_width);
  const cuda::PsRoiPoolOptions options{spatial_scale, static_cast<int>(pooled_height),
                                       static_cast<int>(pooled_width)};
  dispatch_floating(grad.scalar_type(), "_ps_roi_pool_backward", "grad", [&]<typename T>() {
    const at::Tensor boxes = rois_for<T>(rois);
    cuda::launch_ps_roi_pool_backward(strided<T>(grad), boxes.const_data_ptr<device_acc_t<T>>(),
                                      boxes.size(0), options, mutable_strided<T>(grad_input),
                                      extent, c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return grad_input;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("ps_roi_pool", ps_roi_pool_cuda);
  m.impl("_ps_roi_pool_backward", ps_roi_pool_backward_cuda);
}

}  // namespace fastcv
