// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernel.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

// boxes1 [n, 5], boxes2 [m, 5] -> iou [n, m].
template <typename T>
void launch_box_iou_rotated(const T* boxes1, const T* boxes2, T* iou, int64_t n, int64_t m,
                            cudaStream_t stream);

}  // namespace fastcv::cuda
