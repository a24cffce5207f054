#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "common/nms/greedy_launcher.h"
#include "nms_rotated/nms_rotated.h"
#include "nms_rotated/nms_rotated_kernel.h"

namespace fastcv {
namespace {

at::Tensor launch(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor* idxs,
                  double iou_threshold) {
  const int64_t n = boxes.size(0);
  if (n == 0) return at::empty({0}, boxes.options().dtype(at::kLong));
  const c10::cuda::CUDAGuard device_guard(boxes.device());
  const at::Tensor dense = boxes.contiguous();
  return dispatch_floating(boxes.scalar_type(), "nms_rotated", "boxes", [&]<typename T>() {
    const auto kernels = [&](const int64_t* order, const int64_t* groups, void* workspace,
                             int64_t* keep, int64_t* count) {
      cuda::launch_nms_rotated(device_ptr<T>(dense), order, groups, n, iou_threshold, workspace,
                               keep, count, c10::cuda::getCurrentCUDAStream());
    };
    return run_greedy_nms(boxes, scores, idxs, cuda::nms_rotated_workspace_bytes<device_t<T>>(n),
                          kernels);
  });
}

at::Tensor nms_rotated_cuda(const at::Tensor& boxes, const at::Tensor& scores,
                            double iou_threshold) {
  check_nms_rotated(boxes, scores, nullptr, iou_threshold);
  return launch(boxes, scores, nullptr, iou_threshold);
}

at::Tensor batched_nms_rotated_cuda(const at::Tensor& boxes, const at::Tensor& scores,
                                    const at::Tensor& idxs, double iou_threshold) {
  check_nms_rotated(boxes, scores, &idxs, iou_threshold);
  return launch(boxes, scores, &idxs, iou_threshold);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("nms_rotated", nms_rotated_cuda);
  m.impl("batched_nms_rotated", batched_nms_rotated_cuda);
}

}  // namespace fastcv
