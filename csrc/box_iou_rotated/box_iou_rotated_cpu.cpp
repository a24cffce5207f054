#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "box_iou_rotated/box_iou_rotated.h"
#include "common/cpu/buffer.h"
#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "common/rotated/gather_rotated.h"

#define FASTCV_CPU_KERNEL "box_iou_rotated/box_iou_rotated_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

template <typename T>
void fill(const at::Tensor& boxes1, const at::Tensor& boxes2, at::Tensor& iou) {
  using Acc = acc_t<T>;
  const int64_t n = boxes1.size(0), m = boxes2.size(0);
  const auto same = [](int64_t i) { return i; };
  const auto first = make_buffer<RotatedBox<Acc>>(n);
  const auto second = make_buffer<RotatedBox<Acc>>(m);
  gather_rotated<T>(boxes1, first.get(), n, same);
  gather_rotated<T>(boxes2, second.get(), m, same);
  T* out = iou.mutable_data_ptr<T>();
  const int64_t rows_per_task = std::max<int64_t>(1, 4096 / m);
  at::parallel_for(0, n, rows_per_task, [&](int64_t begin, int64_t end) {
    const auto kernel = FASTCV_ISA_CALL(box_iou_rotated<Acc, T>);
    kernel(first.get(), second.get(), m, begin, end, out);
  });
}

at::Tensor box_iou_rotated_cpu(const at::Tensor& boxes1, const at::Tensor& boxes2) {
  check_box_iou_rotated(boxes1, boxes2);
  at::Tensor iou = at::empty({boxes1.size(0), boxes2.size(0)}, boxes1.options());
  if (iou.numel() == 0) return iou;
  dispatch_floating(boxes1.scalar_type(), "box_iou_rotated", "boxes1",
                    [&]<typename T>() { fill<T>(boxes1, boxes2, iou); });
  return iou;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("box_iou_rotated", box_iou_rotated_cpu); }

}  // namespace fastcv
