// CUDA launcher: classes side by side, one block each; results merged by score.
#include <ATen/ops/empty.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <string_view>
#include <tuple>
#include <type_traits>

#include "common/cuda/cuda_launcher.h"
#include "soft_nms/decay.h"
#include "soft_nms/soft_nms.h"
#include "soft_nms/soft_nms_kernel.h"

namespace fastcv {
namespace {

using Result = std::tuple<at::Tensor, at::Tensor>;

Result launch(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor* idxs,
              const SoftNmsOptions& options) {
  const int64_t n = boxes.size(0);
  const auto indices = boxes.options().dtype(at::kLong);
  if (n == 0) return {at::empty({0}, indices), at::empty({0}, scores.options())};
  const c10::cuda::CUDAGuard device_guard(boxes.device());
  const at::Tensor dense_boxes = boxes.contiguous(), dense_scores = scores.contiguous();
  at::Tensor groups, members;
  if (idxs != nullptr) {
    std::tie(groups, members) = at::sort(idxs->to(at::kLong).contiguous(), /*stable=*/true,
                                         /*dim=*/0, /*descending=*/false);
  }
  const at::Tensor counts = at::zeros({2}, indices);
  return dispatch_floating(boxes.scalar_type(), "soft_nms", "boxes", [&]<typename T>() -> Result {
    using Acc = acc_t<T>;
    const at::Tensor workspace =
        at::empty({cuda::soft_nms_workspace_bytes<device_t<T>>(n)}, indices.dtype(at::kByte));
    const at::Tensor selected =
        at::empty({n}, boxes.options().dtype(c10::CppTypeToScalarType<Acc>::value));
    const Decay<Acc> decay(options.gaussian, options.iou_threshold, options.sigma,
                           options.score_threshold);
    cuda::launch_soft_nms(device_ptr<T>(dense_boxes), device_ptr<T>(dense_scores),
                          idxs == nullptr ? nullptr : members.const_data_ptr<int64_t>(),
                          idxs == nullptr ? nullptr : groups.const_data_ptr<int64_t>(), n, decay,
                          workspace.mutable_data_ptr<uint8_t>(), selected.mutable_data_ptr<Acc>(),
                          counts.mutable_data_ptr<int64_t>(), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
    // Scores at selection never rise, and of equals the lowest index goes first: so the order of
    // selection is the order by score, with what was dropped behind.
    const auto [by_score, order] =
        at::sort(selected, /*stable=*/true, /*dim=*/0, /*descending=*/true);
    const int64_t kept = counts[0].item<int64_t>();  // the one synchronisation
    return {order.narrow(0, 0, kept), by_score.narrow(0, 0, kept).to(scores.scalar_type())};
  });
}

Result soft_nms_cuda(const at::Tensor& boxes, const at::Tensor& scores, std::string_view method,
                     double iou_threshold, double sigma, double score_threshold) {
  return launch(
      boxes, scores, nullptr,
      check_soft_nms(boxes, scores, nullptr, method, iou_threshold, sigma, score_threshold));
}

Result batched_soft_nms_cuda(const at::Tensor& boxes, const at::Tensor& scores,
                             const at::Tensor& idxs, std::string_view method, double iou_threshold,
                             double sigma, double score_threshold) {
  return launch(
      boxes, scores, &idxs,
      check_soft_nms(boxes, scores, &idxs, method, iou_threshold, sigma, score_threshold));
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) {
  m.impl("soft_nms", soft_nms_cuda);
  m.impl("batched_soft_nms", batched_soft_nms_cuda);
}

}  // namespace fastcv
