#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "common/nms/grouped.h"
#include "common/rotated/gather_rotated.h"
#include "nms_rotated/nms_rotated.h"

#define FASTCV_CPU_KERNEL "nms_rotated/nms_rotated_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// `groups` holds ranks in the order by score, class after class.
template <typename T>
at::Tensor suppress(const at::Tensor& boxes, const uint32_t* order, const Groups& groups,
                    double iou_threshold) {
  using Acc = acc_t<T>;
  const int64_t n = boxes.size(0);
  const Acc threshold = round_down<Acc>(iou_threshold);
  const auto sorted = make_buffer<RotatedBox<Acc>>(n);
  gather_rotated<T>(boxes, sorted.get(), n, [&](int64_t i) { return order[groups.members[i]]; });
  const auto kept = make_buffer<uint32_t>(n);
  const auto flags = std::make_unique<uint8_t[]>(n);
  for_each_group(groups, [&](int64_t begin, int64_t end) {
    const int64_t count = FASTCV_ISA_CALL(nms_rotated<Acc>)(sorted.get() + begin, end - begin,
                                                            threshold, kept.get() + begin);
    for (int64_t i = begin; i < begin + count; ++i) flags[groups.members[begin + kept[i]]] = 1;
  });
  return kept_indices(order, flags.get(), n);
}

at::Tensor launch(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor* idxs,
                  double iou_threshold) {
  check_nms_rotated(boxes, scores, idxs, iou_threshold);
  const int64_t n = boxes.size(0);
  if (n == 0) return index_tensor(0);
  return dispatch_floating(boxes.scalar_type(), "nms_rotated", "boxes", [&]<typename T>() {
    const auto order = order_by_score<T>(scores);
    const auto index_of = [&](int64_t rank) { return order[rank]; };
    const Groups groups = idxs == nullptr ? one_group(n) : group_by(idxs->to(at::kLong), index_of);
    return suppress<T>(boxes, order.get(), groups, iou_threshold);
  });
}

at::Tensor nms_rotated_cpu(const at::Tensor& boxes, const at::Tensor& scores,
                           double iou_threshold) {
  return launch(boxes, scores, nullptr, iou_threshold);
}

at::Tensor batched_nms_rotated_cpu(const at::Tensor& boxes, const at::Tensor& scores,
                                   const at::Tensor& idxs, double iou_threshold) {
  return launch(boxes, scores, &idxs, iou_threshold);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("nms_rotated", nms_rotated_cpu);
  m.impl("batched_nms_rotated", batched_nms_rotated_cpu);
}

}  // namespace fastcv
