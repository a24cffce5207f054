// What the CUDA launchers of the RoI ops hand to the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/cuda/strided.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// Of the feature map.
struct Extent {
  int64_t batch, channels;
  int height, width;
};

}  // namespace fastcv::cuda
