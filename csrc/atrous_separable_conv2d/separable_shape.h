// Sizes of a separable convolution, for launchers and kernels on both devices.
#pragma once

#include <cstdint>

namespace fastcv {

struct SeparableShape {
  int64_t batch, channels, height, width;
  int64_t out_channels, out_height, out_width;
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width;
  int64_t pad_height, pad_width;
  int64_t dilation_height, dilation_width;
  bool relu;
};

// How the CPU splits it. Sizes in elements.
struct SeparablePlan {
  int64_t tile, tiles;  // output pixels in a job, and jobs in an image
  int64_t panel;        // from a panel of the tile to the next (NCHW)
  int64_t line, lines;  // a line of input, as long as a row of a tile needs, and all (NCHW)
  int64_t packed;       // packed pointwise weight
  int64_t scratch;      // a thread's
};

}  // namespace fastcv
