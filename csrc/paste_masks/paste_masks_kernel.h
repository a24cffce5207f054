// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernel.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// masks [count, side, side], boxes [count, 4]; pasted [count, height, width] begins at a multiple
// of 16 bytes.
template <typename T>
void launch_paste_masks(const T* masks, const acc_t<T>* boxes, int64_t count, int64_t side,
                        int64_t height, int64_t width, double threshold, uint8_t* pasted,
                        cudaStream_t stream);

}  // namespace fastcv::cuda
