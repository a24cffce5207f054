// How the CPU splits a transposed convolution whose kernels do not overlap.
#pragma once

#include <cstdint>

namespace fastcv {

// Sizes in elements; of one group.
struct NoOverlapPlan {
  int64_t depth, channels;  // input and output channels
  int64_t tile, tiles;      // pixels of input in a job, and jobs in an image
  int64_t block, panels;    // output channels whose sums lie in the cache together, their panels
  int64_t panel;            // from a panel of input to the next (NCHW)
  int64_t packed;           // packed weight
  int64_t scratch;          // a thread's
};

}  // namespace fastcv
