// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernel.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

// Merges a tile of scores [rows, columns], of the gallery's rows from `first` on, into the best of
// those before: best_scores and best_indices [rows, 2, k], of which [:, 0] is the list, of
// min(k, first) entries before and min(k, first + columns) after. [:, 1] is scratch.
template <typename T>
void launch_merge_best(const T* scores, int64_t rows, int64_t columns, int64_t first, int64_t k,
                       T* best_scores, int64_t* best_indices, cudaStream_t stream);

}  // namespace fastcv::cuda
