// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/roi/roi_cuda.h"

namespace fastcv::cuda {

struct PsRoiPoolOptions {
  double spatial_scale;
  int pooled_height, pooled_width;
};

// output[k] is pooled from input with rois[k]; every element of output is written.
template <typename T>
void launch_ps_roi_pool(Strided<const T> input, const Extent& extent, const acc_t<T>* rois,
                        int64_t roi_count, const PsRoiPoolOptions& options, Strided<T> output,
                        cudaStream_t stream);

// Every element of grad_input is written.
template <typename T>
void launch_ps_roi_pool_backward(Strided<const T> grad, const acc_t<T>* rois, int64_t roi_count,
                                 const PsRoiPoolOptions& options, Strided<T> grad_input,
                                 const Extent& extent, cudaStream_t stream);

}  // namespace fastcv::cuda
