// hog(images, orientations, cell_size, block_size) -> descriptors: histograms of oriented
// gradients.
//
//   images       [B, C, H, W] float64 | float32 | float16 | bfloat16
//   orientations bins of half a turn, 1 to 32; bin k holds angles from k to k + 1 times
//                180 / orientations degrees, from the x axis towards the y axis
//   cell_size    pixels along a side of a cell; what is left over at the right and below is no cell
//   block_size   cells along a side of a block, 1 to 8
//   descriptors  [B, blocks in y, blocks in x, block_size (y), block_size (x), orientations],
//                images' dtype
//
// The gradient is the difference of the two neighbours, 0 along the border, of the channel where it
// is largest. Each pixel counts with its gradient's length, in the bin of its direction alone, and
// a cell's histogram is divided by its pixels. Blocks overlap, one cell apart; each is divided by
// its length, cut at 0.2, and divided by its length again ("L2-Hys", with 1e-5 squared added).
// Computed in float32 (float64 for float64). No gradient. Deterministic on both devices.
// Memory: the output, the cells' histograms, and 32 MiB. CUDA does not synchronise with the host.
//
// Errors: images has not 4 dimensions or is not floating point; numbers out of their range; images
// smaller than a block.
// Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection" (2005);
// equal to scikit-image's.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace fastcv {

struct HogShape {
  int64_t batch, channels, height, width;
  int64_t cells_y, cells_x, blocks_y, blocks_x;
  int64_t orientations, cell, block;

  std::vector<int64_t> output() const {
    return {batch, blocks_y, blocks_x, block, block, orientations};
  }
  int64_t in_block() const { return block * block * orientations; }
};

// Checks as well.
HogShape hog_shape(const at::Tensor& images, int64_t orientations, int64_t cell_size,
                   int64_t block_size);

// (cos, sin) of the angles between the bins, orientations - 1 pairs: exact where they are whole
// eighths of a turn, for gradients lie just there.
std::vector<double> hog_borders(int64_t orientations);

}  // namespace fastcv
