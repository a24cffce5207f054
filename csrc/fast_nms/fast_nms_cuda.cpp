#include <ATen/ops/empty.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/sort.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "fast_nms/fast_nms.h"
#include "fast_nms/fast_nms_kernel.h"

namespace fastcv {
namespace {

std::tuple<at::Tensor, at::Tensor> fast_nms_cuda(const at::Tensor& boxes, const at::Tensor& scores,
                                                 double iou_threshold, int64_t top_k) {
  check_fast_nms(boxes, scores, iou_threshold, top_k);
  const auto indices = boxes.options().dtype(at::kLong);
  if (scores.numel() == 0) return {at::empty({0}, indices), at::empty({0}, indices)};
  const c10::cuda::CUDAGuard device_guard(boxes.device());
  const int64_t classes = scores.size(0), k = std::min(top_k, boxes.size(0));
  const at::Tensor dense = boxes.contiguous();
  const auto [all_scores, all_boxes] =
      at::sort(scores, /*stable=*/true, /*dim=*/1, /*descending=*/true);
  const at::Tensor order = all_boxes.narrow(1, 0, k).contiguous();
  const at::Tensor kept = at::empty({classes * k}, boxes.options().dtype(at::kByte));
  dispatch_floating(boxes.scalar_type(), "fast_nms", "boxes", [&]<typename T>() {
    cuda::launch_fast_nms(device_ptr<T>(dense), order.const_data_ptr<int64_t>(), classes, k,
                          iou_threshold, kept.mutable_data_ptr<uint8_t>(),
                          c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  const at::Tensor by_class = at::nonzero(kept).squeeze(1);  // the one synchronisation
  const at::Tensor kept_scores = all_scores.narrow(1, 0, k).reshape(-1).index_select(0, by_class);
  const at::Tensor by_score = std::get<1>(at::sort(kept_scores, true, 0, true));
  const at::Tensor places = by_class.index_select(0, by_score);
  return {order.view(-1).index_select(0, places), places.div(k, "floor")};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("fast_nms", fast_nms_cuda); }

}  // namespace fastcv
