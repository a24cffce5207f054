// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

template <typename T>
int64_t nms_rotated_workspace_bytes(int64_t n);

// As launch_nms, for boxes [n, 5].
template <typename T>
void launch_nms_rotated(const T* boxes, const int64_t* order, const int64_t* groups, int64_t n,
                        double iou_threshold, void* workspace, int64_t* keep, int64_t* count,
                        cudaStream_t stream);

}  // namespace fastcv::cuda
