#pragma once

#include "common/nms/box.h"
#include "common/nms/greedy_nms.cuh"
#include "common/rotated/rotated.h"
#include "nms_rotated/nms_rotated_kernel.h"

namespace fastcv::cuda {

template <typename T>
struct RotatedShape {
  struct Item {
    RotatedBox<T> box;
    T radius;
  };

  template <typename In>
  static __device__ Item load(const In* boxes, int64_t i) {
    const In* b = boxes + i * 5;
    const RotatedBox<T> box =
        rotated_box<T>(widen(b[0]), widen(b[1]), widen(b[2]), widen(b[3]), widen(b[4]));
    return {box, bounding_radius(box)};
  }

  static __device__ bool iou_above(const Item& kept, const Item& b, T threshold) {
    const T dx = kept.box.cx - b.box.cx, dy = kept.box.cy - b.box.cy;
    const T reach = kept.radius + b.radius;
    if (!(dx * dx + dy * dy <= reach * reach)) return false;
    return iou(kept.box, b.box) > threshold;
  }
};

template <typename T>
int64_t nms_rotated_workspace_bytes(int64_t n) {
  return greedy::Workspace<typename RotatedShape<acc_t<T>>::Item>::bytes(n);
}

template <typename T>
void launch_nms_rotated(const T* boxes, const int64_t* order, const int64_t* groups, int64_t n,
                        double iou_threshold, void* workspace, int64_t* keep, int64_t* count,
                        cudaStream_t stream) {
  using Acc = acc_t<T>;
  greedy::launch_greedy_nms<RotatedShape<Acc>>(
      boxes, order, groups, n, round_down<Acc>(iou_threshold), workspace, keep, count, stream);
}

}  // namespace fastcv::cuda
