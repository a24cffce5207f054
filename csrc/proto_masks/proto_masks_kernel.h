// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// prototypes [prototype_count, rows, columns], coefficients [count, prototype_count], boxes
// [count, 4], samples [count, rows, columns] scratch; masks [count, height, width] begins at a
// multiple of 16 bytes.
template <typename T>
void launch_proto_masks(const T* prototypes, const T* coefficients, const acc_t<T>* boxes,
                        int64_t count, int64_t prototype_count, int64_t rows, int64_t columns,
                        int64_t height, int64_t width, double threshold, acc_t<T>* samples,
                        uint8_t* masks, cudaStream_t stream);

}  // namespace fastcv::cuda
