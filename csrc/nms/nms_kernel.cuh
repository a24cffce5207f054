#pragma once

#include "common/nms/box.h"
#include "common/nms/greedy_nms.cuh"
#include "nms/nms_kernel.h"

namespace fastcv::cuda {

template <typename T>
struct UprightShape {
  using Item = Box<T>;

  template <typename In>
  static __device__ Item load(const In* boxes, int64_t i) {
    const In* b = boxes + i * 4;
    return {widen(b[0]), widen(b[1]), widen(b[2]), widen(b[3])};
  }

  static __device__ bool iou_above(const Item& kept, const Item& b, T threshold) {
    const T inter = intersection(kept, b);
    const T either = area(kept) + area(b) - inter;
    // Spares most divisions, exactly: see maybe_any_above in nms_cpu_kernel.h.
    if (threshold > 0 && inter < threshold * either) return false;
    return inter / either > threshold;
  }
};

template <typename T>
int64_t nms_workspace_bytes(int64_t n) {
  return greedy::Workspace<Box<acc_t<T>>>::bytes(n);
}

template <typename T>
void launch_nms(const T* boxes, const int64_t* order, const int64_t* groups, int64_t n,
                double iou_threshold, void* workspace, int64_t* keep, int64_t* count,
                cudaStream_t stream) {
  using Acc = acc_t<T>;
  greedy::launch_greedy_nms<UprightShape<Acc>>(
      boxes, order, groups, n, round_down<Acc>(iou_threshold), workspace, keep, count, stream);
}

}  // namespace fastcv::cuda
