// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// [batch, channels, pixels] of any strides, in elements.
template <typename T>
struct GramArguments {
  const T* features;
  int64_t batch, channels, pixels;
  int64_t image_stride, channel_stride, pixel_stride;
};

// How many sums launch_gram_matrix leaves in `parts`.
int64_t gram_parts(int64_t batch, int64_t channels, int64_t pixels);

// gram: [batch, channels, channels], dense; every element is written.
template <typename T>
void launch_gram_matrix(const GramArguments<T>& arguments, double scale, acc_t<T>* parts, T* gram,
                        cudaStream_t stream);

}  // namespace fastcv::cuda
