// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernel.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

// `order` [classes, k]: the boxes of each class by falling score. `kept` [classes, k]: 1 where a
// box overlaps no better one too much, else 0. At least one class, and k > 0.
template <typename T>
void launch_fast_nms(const T* boxes, const int64_t* order, int64_t classes, int64_t k,
                     double iou_threshold, uint8_t* kept, cudaStream_t stream);

}  // namespace fastcv::cuda
