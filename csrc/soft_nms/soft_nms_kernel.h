// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "soft_nms/decay.h"

namespace fastcv::cuda {

template <typename T>
int64_t soft_nms_workspace_bytes(int64_t n);

// boxes [n, 4], scores [n]. `members` lists the boxes group after group, `groups` the group of each
// of them, ascending; both null for one group of all boxes. selected[i] becomes the score box i was
// selected with, or -infinity; counts[0] the number of selected boxes. counts has two zeros in it.
// All on the device. n > 0. Acc is double for T = double, else float.
template <typename T, typename Acc>
void launch_soft_nms(const T* boxes, const T* scores, const int64_t* members, const int64_t* groups,
                     int64_t n, Decay<Acc> decay, void* workspace, Acc* selected, int64_t* counts,
                     cudaStream_t stream);

}  // namespace fastcv::cuda
