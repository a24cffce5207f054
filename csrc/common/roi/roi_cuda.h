// What the CUDA launchers of the RoI ops hand to the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// A [N, C, H, W] tensor of any strides, in elements.
template <typename T>
struct Strided {
  T* data;
  int64_t n, c, h, w;
};

// Of the feature map.
struct Extent {
  int64_t batch, channels;
  int height, width;
};

}  // namespace fastcv::cuda
