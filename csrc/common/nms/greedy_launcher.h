// The part of the CUDA launchers that every greedy NMS shares.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/sort.h>

#include <cstdint>

#include "common/cuda/cuda_launcher.h"

namespace fastcv {

// `idxs` may be null. `workspace_bytes` is a kernel's, for these boxes; launch(order, groups,
// workspace, keep, count) runs it.
template <typename Launch>
at::Tensor run_greedy_nms(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor* idxs,
                          int64_t workspace_bytes, Launch launch) {
  const auto indices = boxes.options().dtype(at::kLong);
  const at::Tensor order =
      std::get<1>(at::sort(scores, /*stable=*/true, /*dim=*/0, /*descending=*/true)).contiguous();
  const at::Tensor groups = idxs == nullptr ? at::Tensor() : idxs->to(at::kLong).contiguous();
  const at::Tensor workspace = at::empty({workspace_bytes}, boxes.options().dtype(at::kByte));
  const at::Tensor keep = at::empty({boxes.size(0)}, indices);
  const at::Tensor count = at::empty({1}, indices);
  launch(order.const_data_ptr<int64_t>(),
         idxs == nullptr ? nullptr : groups.const_data_ptr<int64_t>(),
         workspace.mutable_data_ptr<uint8_t>(), keep.mutable_data_ptr<int64_t>(),
         count.mutable_data_ptr<int64_t>());
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return keep.narrow(0, 0, count.item<int64_t>());  // the one synchronisation
}

}  // namespace fastcv
