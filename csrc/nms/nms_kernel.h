// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

template <typename T>
int64_t nms_workspace_bytes(int64_t n);

// `order` lists the boxes by falling score, `groups` (or null) their classes; `keep` has room for n
// indices, of which the first *count are the result. All on the device. n > 0.
template <typename T>
void launch_nms(const T* boxes, const int64_t* order, const int64_t* groups, int64_t n,
                double iou_threshold, void* workspace, int64_t* keep, int64_t* count,
                cudaStream_t stream);

}  // namespace fastcv::cuda
