// CPU launcher: each class to the kernel, classes in parallel, results merged by score.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "common/nms/grouped.h"
#include "soft_nms/decay.h"
#include "soft_nms/soft_nms.h"

#define FASTCV_CPU_KERNEL "soft_nms/soft_nms_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

using Result = std::tuple<at::Tensor, at::Tensor>;

// `groups` holds the indices of the boxes, class after class.
template <typename T>
Result select(const at::Tensor& boxes, const at::Tensor& scores, const Groups& groups,
              const SoftNmsOptions& options) {
  using Acc = acc_t<T>;
  const int64_t n = boxes.size(0), score_stride = scores.stride(0);
  const T* score_data = scores.const_data_ptr<T>();
  const Decay<Acc> decay(options.gaussian, options.iou_threshold, options.sigma,
                         options.score_threshold);
  // What a box was selected with, or NaN.
  const auto selected = make_buffer<Acc>(n);
  std::fill_n(selected.get(), n, std::numeric_limits<Acc>::quiet_NaN());
  for_each_group(groups, [&](int64_t begin, int64_t end) {
    const int64_t size = end - begin;
    const uint32_t* index = groups.members.get() + begin;
    const auto group_boxes = make_buffer<Box<Acc>>(size);
    const auto group_scores = make_buffer<Acc>(size);
    gather_boxes<T>(boxes, group_boxes.get(), size, [&](int64_t i) { return index[i]; });
    for (int64_t i = 0; i < size; ++i) {
      group_scores[i] = static_cast<Acc>(score_data[int64_t{index[i]} * score_stride]);
    }
    const auto keep = make_buffer<uint32_t>(size);
    const auto kept_scores = make_buffer<Acc>(size);
    const int64_t count = FASTCV_ISA_CALL(soft_nms<Acc>)(
        group_boxes.get(), group_scores.get(), size, decay, keep.get(), kept_scores.get());
    for (int64_t i = 0; i < count; ++i) selected[index[keep[i]]] = kept_scores[i];
  });

  // Scores at selection never rise, and of equals the lowest index goes first: so the order of
  // selection is the order by score.
  const auto kept = make_buffer<uint32_t>(n);
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (selected[i] == selected[i]) kept[count++] = static_cast<uint32_t>(i);
  }
  const auto order =
      stable_order(count, [&](int64_t i) { return descending_key(selected[kept[i]]); });
  at::Tensor keep = index_tensor(count);
  at::Tensor kept_scores = at::empty({count}, scores.options());
  int64_t* keep_out = keep.mutable_data_ptr<int64_t>();
  T* scores_out = kept_scores.mutable_data_ptr<T>();
  for (int64_t i = 0; i < count; ++i) {
    keep_out[i] = kept[order[i]];
    scores_out[i] = static_cast<T>(selected[kept[order[i]]]);
  }
  return {keep, kept_scores};
}

Result launch(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor* idxs,
              const SoftNmsOptions& options) {
  const int64_t n = boxes.size(0);
  if (n == 0) return {index_tensor(0), at::empty({0}, scores.options())};
  const Groups groups =
      idxs == nullptr ? one_group(n) : group_by(idxs->to(at::kLong), [](int64_t i) { return i; });
  return dispatch_floating(boxes.scalar_type(), "soft_nms", "boxes",
                           [&]<typename T>() { return select<T>(boxes, scores, groups, options); });
}

Result soft_nms_cpu(const at::Tensor& boxes, const at::Tensor& scores, std::string_view method,
                    double iou_threshold, double sigma, double score_threshold) {
  const auto options =
      check_soft_nms(boxes, scores, nullptr, method, iou_threshold, sigma, score_threshold);
  return launch(boxes, scores, nullptr, options);
}

Result batched_soft_nms_cpu(const at::Tensor& boxes, const at::Tensor& scores,
                            const at::Tensor& idxs, std::string_view method, double iou_threshold,
                            double sigma, double score_threshold) {
  const auto options =
      check_soft_nms(boxes, scores, &idxs, method, iou_threshold, sigma, score_threshold);
  return launch(boxes, scores, &idxs, options);
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("soft_nms", soft_nms_cpu);
  m.impl("batched_soft_nms", batched_soft_nms_cpu);
}

}  // namespace fastcv
