// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// encode_heatmaps.h's numbers as the device computes with them.
template <typename T>
struct Bump {
  acc_t<T> per_square, peak;
  bool cauchy;
};

// points [count, 2]; heatmaps [count, height, width] begins at a multiple of 16 bytes.
template <typename T>
void launch_encode_heatmaps(const T* points, int64_t count, int32_t height, int32_t width,
                            Bump<T> bump, T* heatmaps, cudaStream_t stream);

// grad [count, height, width]; by_points [count, 2].
template <typename T>
void launch_encode_heatmaps_backward(const T* grad, const T* points, int64_t count, int32_t height,
                                     int32_t width, Bump<T> bump, T* by_points,
                                     cudaStream_t stream);

}  // namespace fastcv::cuda
