// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

inline constexpr int max_hog_orientations = 32;  // a lane of a warp for each

struct HogArguments {
  int64_t batch, channels, height, width;
  int64_t cells_y, cells_x, blocks_y, blocks_x;
  int orientations, cell, block;
};

// (cos, sin) of the angles between the bins, by value: a launch carries them to the device.
template <typename Acc>
struct HogBorders {
  Acc values[2 * (max_hog_orientations - 1)];
};

// cells: [batch, cells_y, cells_x, orientations].
template <typename T>
void launch_hog(const HogArguments& arguments, const T* images, const HogBorders<acc_t<T>>& borders,
                acc_t<T>* cells, T* descriptors, cudaStream_t stream);

}  // namespace fastcv::cuda
