#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "common/nms/greedy_launcher.h"
#include "nms/nms.h"
#include "nms/nms_kernel.h"

namespace fastcv {
namespace {

at::Tensor launch(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor* idxs,
                  double iou_threshold) {
  const int64_t n = boxes.size(0);
  if (n == 0) return at::empty({0}, boxes.options().dtype(at::kLong));
  const c10::cuda::CUDAGuard device_guard(boxes.device());
  const at::Tensor dense = boxes.contiguous();
  return dispatch_floating(boxes.scalar_type(), "nms", "boxes", [&]<typename T>() {
    const auto kernels = [&](const int64_t* order, const int64_t* groups, void* workspace,
                             int64_t* keep, int64_t* count) {
      cuda::launch_nms(device_ptr<T>(dense), order, groups, n, iou_threshold, workspace, keep,
                       count, c10::cuda::getCurrentCUDAStream());
    };
    return run_greedy_nms(boxes, scores, idxs, cuda::nms_workspace_bytes<device_t<T>>(n), kernels);
  });
}

at::Tensor nms_cuda(const at::Tensor& boxes, const at::Tensor& scores, double iou_threshold) {
  check_nms(boxes, scores, iou_threshold);
  return launch(boxes, scores, nullptr, iou_threshold);
}

at::Tensor batched_nms_cuda(const at::Tensor& boxes, const at::Tensor& scores,
                            const at::Tensor& idxs, double iou_threshold) {
  check_batched_nms(boxes, scores, idxs, iou_threshold);
  return launch(boxes, scores, &idxs, iou_threshold);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("nms", nms_cuda);
  m.impl("batched_nms", batched_nms_cuda);
}

}  // namespace fastcv
