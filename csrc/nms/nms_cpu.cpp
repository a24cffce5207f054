// CPU launcher: boxes in order of falling score, class by class, to the kernel that fits.
#include "nms/nms_cpu.h"

#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "common/nms/grouped.h"
#include "nms/nms.h"

#define FASTCV_CPU_KERNEL "nms/nms_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// Where the grid overtakes the all-pairs kernel (measured: 500 to 1000 boxes).
constexpr int64_t grid_from = 768;

// The ranks of the kept boxes among those in order of falling score.
template <typename Acc>
int64_t suppress(const Box<Acc>* boxes, int64_t n, double iou_threshold, uint32_t* kept) {
  const Acc threshold = round_down<Acc>(iou_threshold);
  if (n >= grid_from && threshold >= 0) return grid_nms(boxes, n, threshold, kept);
  return FASTCV_ISA_CALL(all_pairs_nms<Acc>)(boxes, n, threshold, kept);
}

template <typename T>
at::Tensor nms(const at::Tensor& boxes, const at::Tensor& scores, double iou_threshold) {
  using Acc = acc_t<T>;
  const int64_t n = boxes.size(0);
  const auto order = order_by_score<T>(scores);
  const auto sorted = make_buffer<Box<Acc>>(n);
  gather_boxes<T>(boxes, sorted.get(), n, [&](int64_t rank) { return order[rank]; });
  const auto kept = make_buffer<uint32_t>(n);
  const int64_t count = suppress(sorted.get(), n, iou_threshold, kept.get());
  at::Tensor keep = index_tensor(count);
  int64_t* out = keep.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < count; ++i) out[i] = order[kept[i]];
  return keep;
}

template <typename T>
at::Tensor batched_nms(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& idxs,
                       double iou_threshold) {
  using Acc = acc_t<T>;
  const int64_t n = boxes.size(0);
  const auto order = order_by_score<T>(scores);
  const Groups groups = group_by(idxs, [&](int64_t rank) { return order[rank]; });
  const auto sorted = make_buffer<Box<Acc>>(n);
  gather_boxes<T>(boxes, sorted.get(), n, [&](int64_t i) { return order[groups.members[i]]; });
  const auto kept = make_buffer<uint32_t>(n);
  const auto flags = std::make_unique<uint8_t[]>(n);
  for_each_group(groups, [&](int64_t begin, int64_t end) {
    const int64_t count =
        suppress(sorted.get() + begin, end - begin, iou_threshold, kept.get() + begin);
    for (int64_t i = begin; i < begin + count; ++i) flags[groups.members[begin + kept[i]]] = 1;
  });
  return kept_indices(order.get(), flags.get(), n);
}

at::Tensor nms_cpu(const at::Tensor& boxes, const at::Tensor& scores, double iou_threshold) {
  check_nms(boxes, scores, iou_threshold);
  if (boxes.size(0) == 0) return index_tensor(0);
  return dispatch_floating(boxes.scalar_type(), "nms", "boxes",
                           [&]<typename T>() { return nms<T>(boxes, scores, iou_threshold); });
}

at::Tensor batched_nms_cpu(const at::Tensor& boxes, const at::Tensor& scores,
                           const at::Tensor& idxs, double iou_threshold) {
  check_batched_nms(boxes, scores, idxs, iou_threshold);
  if (boxes.size(0) == 0) return index_tensor(0);
  const at::Tensor classes = idxs.to(at::kLong);
  return dispatch_floating(boxes.scalar_type(), "batched_nms", "boxes", [&]<typename T>() {
    return batched_nms<T>(boxes, scores, classes, iou_threshold);
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("nms", nms_cpu);
  m.impl("batched_nms", batched_nms_cpu);
}

}  // namespace fastcv
