#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "box_iou_rotated/box_iou_rotated.h"
#include "box_iou_rotated/box_iou_rotated_kernel.h"
#include "common/cuda/cuda_launcher.h"

namespace fastcv {
namespace {

at::Tensor box_iou_rotated_cuda(const at::Tensor& boxes1, const at::Tensor& boxes2) {
  check_box_iou_rotated(boxes1, boxes2);
  const c10::cuda::CUDAGuard device_guard(boxes1.device());
  const int64_t n = boxes1.size(0), m = boxes2.size(0);
  at::Tensor iou = at::empty({n, m}, boxes1.options());
  const at::Tensor first = boxes1.contiguous(), second = boxes2.contiguous();
  dispatch_floating(boxes1.scalar_type(), "box_iou_rotated", "boxes1", [&]<typename T>() {
    cuda::launch_box_iou_rotated(device_ptr<T>(first), device_ptr<T>(second),
                                 mutable_device_ptr<T>(iou), n, m,
                                 c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return iou;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("box_iou_rotated", box_iou_rotated_cuda); }

}  // namespace fastcv
