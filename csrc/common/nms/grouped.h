// Boxes in the order in which greedy suppression visits them, one group (class, image) at a time.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "common/cpu/order.h"
#include "common/host/accumulate.h"
#include "common/nms/box.h"

namespace fastcv {

// Indices by falling score; equal scores by index, NaN first.
template <typename T>
Buffer<uint32_t> order_by_score(const at::Tensor& scores) {
  using Acc = acc_t<T>;
  const T* data = scores.const_data_ptr<T>();
  const int64_t stride = scores.stride(0);
  return stable_order(scores.size(0), [=](int64_t i) {
    return descending_key(static_cast<Acc>(data[i * stride]));
  });
}

// Group g is members[begin[g]] .. members[begin[g + 1]], ascending.
struct Groups {
  Buffer<uint32_t> members;
  std::vector<int64_t> begin;
};

inline Groups one_group(int64_t n) {
  Groups groups{make_buffer<uint32_t>(n), {0, n}};
  std::iota(groups.members.get(), groups.members.get() + n, 0u);
  return groups;
}

// Groups 0 .. n - 1 by idxs[index_of(i)]; `idxs` int64, one per box.
template <typename IndexOf>
Groups group_by(const at::Tensor& idxs, IndexOf index_of) {
  const int64_t n = idxs.size(0), stride = idxs.stride(0);
  const int64_t* data = idxs.const_data_ptr<int64_t>();
  const auto group = [&](int64_t i) { return data[static_cast<int64_t>(index_of(i)) * stride]; };
  Groups groups{stable_order(n, [&](int64_t i) { return ascending_key(group(i)); }), {0}};
  for (int64_t i = 1; i < n; ++i) {
    if (group(groups.members[i]) != group(groups.members[i - 1])) groups.begin.push_back(i);
  }
  groups.begin.push_back(n);
  return groups;
}

// Copies boxes out of any strides and dtype: out[i] is box number index_of(i).
template <typename T, typename Acc, typename IndexOf>
void gather_boxes(const at::Tensor& boxes, Box<Acc>* out, int64_t n, IndexOf index_of) {
  const T* data = boxes.const_data_ptr<T>();
  const int64_t row = boxes.stride(0), column = boxes.stride(1);
  for (int64_t i = 0; i < n; ++i) {
    const T* b = data + static_cast<int64_t>(index_of(i)) * row;
    out[i] = {static_cast<Acc>(b[0]), static_cast<Acc>(b[column]), static_cast<Acc>(b[2 * column]),
              static_cast<Acc>(b[3 * column])};
  }
}

// Runs suppress(begin, end) -> void on every group, groups in parallel.
template <typename F>
void for_each_group(const Groups& groups, F suppress) {
  at::parallel_for(0, static_cast<int64_t>(groups.begin.size()) - 1, 1,
                   [&](int64_t first, int64_t last) {
                     for (int64_t g = first; g < last; ++g) {
                       suppress(groups.begin[g], groups.begin[g + 1]);
                     }
                   });
}

inline at::Tensor index_tensor(int64_t n) {
  return at::empty({n}, at::TensorOptions().dtype(at::kLong));
}

// The boxes whose rank is flagged, in order of rank.
inline at::Tensor kept_indices(const uint32_t* order, const uint8_t* kept, int64_t n) {
  int64_t count = 0;
  for (int64_t rank = 0; rank < n; ++rank) count += kept[rank];
  at::Tensor keep = index_tensor(count);
  int64_t* out = keep.mutable_data_ptr<int64_t>();
  for (int64_t rank = 0; rank < n; ++rank) {
    if (kept[rank]) *out++ = order[rank];
  }
  return keep;
}

}  // namespace fastcv
