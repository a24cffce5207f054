// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/roi/roi_cuda.h"

namespace fastcv::cuda {

struct RoiPoolOptions {
  double spatial_scale;
  int pooled_height, pooled_width;
};

// output[k] and argmax[k] are pooled from input with rois[k]; every element is written. argmax has
// the strides of output.
template <typename T>
void launch_roi_pool(Strided<const T> input, const Extent& extent, const acc_t<T>* rois,
                     int64_t roi_count, const RoiPoolOptions& options, Strided<T> output,
                     int32_t* argmax, cudaStream_t stream);

// Every element of grad_input is written.
template <typename T>
void launch_roi_pool_backward(Strided<const T> grad, Strided<const int32_t> argmax,
                              const acc_t<T>* rois, int64_t roi_count,
                              const RoiPoolOptions& options, Strided<T> grad_input,
                              const Extent& extent, cudaStream_t stream);

}  // namespace fastcv::cuda
