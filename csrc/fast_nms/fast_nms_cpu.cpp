// CPU launcher: a task is a class.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "common/cpu/buffer.h"
#include "common/cpu/order.h"
#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "common/nms/box.h"
#include "common/nms/grouped.h"
#include "fast_nms/fast_nms.h"

#define FASTCV_CPU_KERNEL "fast_nms/fast_nms_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// The kept boxes of one class, the best first.
template <typename T>
std::vector<uint32_t> kept_of_class(const at::Tensor& boxes, const T* scores, int64_t stride,
                                    acc_t<T> threshold, int64_t top_k) {
  using Acc = acc_t<T>;
  const int64_t n = boxes.size(0), k = std::min(top_k, n);
  const auto order = stable_order(
      n, [=](int64_t i) { return descending_key(static_cast<Acc>(scores[i * stride])); });
  const auto sorted = make_buffer<Box<Acc>>(k);
  gather_boxes<T>(boxes, sorted.get(), k, [&](int64_t rank) { return order[rank]; });
  const auto corners = make_buffer<Acc>(4 * k);
  Acc *x1 = corners.get(), *y1 = x1 + k, *x2 = y1 + k, *y2 = x2 + k;
  for (int64_t i = 0; i < k; ++i) {
    x1[i] = sorted[i].x1, y1[i] = sorted[i].y1, x2[i] = sorted[i].x2, y2[i] = sorted[i].y2;
  }
  const auto kept = make_buffer<uint8_t>(k);
  FASTCV_ISA_CALL(fast_nms<Acc>)(x1, y1, x2, y2, k, threshold, kept.get());
  std::vector<uint32_t> found;
  for (int64_t i = 0; i < k; ++i) {
    if (kept[i]) found.push_back(order[i]);
  }
  return found;
}

template <typename T>
std::tuple<at::Tensor, at::Tensor> fast_nms(const at::Tensor& boxes, const at::Tensor& scores,
                                            double iou_threshold, int64_t top_k) {
  using Acc = acc_t<T>;
  const int64_t classes = scores.size(0);
  const T* data = scores.const_data_ptr<T>();
  const int64_t row = scores.stride(0), column = scores.stride(1);
  std::vector<std::vector<uint32_t>> kept(classes);
  at::parallel_for(0, classes, 1, [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c) {
      kept[c] = kept_of_class(boxes, data + c * row, column, round_down<Acc>(iou_threshold), top_k);
    }
  });
  struct Found {
    int64_t box, label;
  };
  std::vector<Found> found;
  for (int64_t c = 0; c < classes; ++c) {
    for (const uint32_t box : kept[c]) found.push_back({box, c});
  }
  const auto count = static_cast<int64_t>(found.size());
  const auto order = stable_order(count, [&](int64_t i) {
    return descending_key(static_cast<Acc>(data[found[i].label * row + found[i].box * column]));
  });
  at::Tensor keep = index_tensor(count), labels = index_tensor(count);
  auto *box = keep.mutable_data_ptr<int64_t>(), *label = labels.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < count; ++i)
    box[i] = found[order[i]].box, label[i] = found[order[i]].label;
  return {keep, labels};
}

std::tuple<at::Tensor, at::Tensor> fast_nms_cpu(const at::Tensor& boxes, const at::Tensor& scores,
                                                double iou_threshold, int64_t top_k) {
  check_fast_nms(boxes, scores, iou_threshold, top_k);
  if (scores.numel() == 0) return {index_tensor(0), index_tensor(0)};
  return dispatch_floating(boxes.scalar_type(), "fast_nms", "boxes", [&]<typename T>() {
    return fast_nms<T>(boxes, scores, iou_threshold, top_k);
  });
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("fast_nms", fast_nms_cpu); }

}  // namespace fastcv
