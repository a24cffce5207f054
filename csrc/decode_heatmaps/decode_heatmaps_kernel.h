// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernel.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "decode_heatmaps/peak.h"

namespace fastcv::cuda {

// heatmaps [count, height, width]; points [count, 2], scores [count]. count > 0.
template <typename T>
void launch_decode_heatmaps(const T* heatmaps, int64_t count, int32_t height, int32_t width,
                            PeakKind kind, T* points, T* scores, cudaStream_t stream);

}  // namespace fastcv::cuda
