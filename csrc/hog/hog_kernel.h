// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

struct HogArguments {
  int64_t batch, channels, height, width;
  int64_t cells_y, cells_x, blocks_y, blocks_x;
  int orientations, cell, block;
};

// cells: [batch, cells_y, cells_x, orientations]; borders: (cos, sin) between the bins.
template <typename T>
void launch_hog(const HogArguments& arguments, const T* images, const acc_t<T>* borders,
                acc_t<T>* cells, T* descriptors, cudaStream_t stream);

}  // namespace fastcv::cuda
