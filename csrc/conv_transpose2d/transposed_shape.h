// Sizes of a transposed convolution, for launchers and kernels on both devices.
#pragma once

#include <cstdint>

#include "common/host/ceil_div.h"
#include "common/host/host_device.h"

namespace fastcv {

struct TransposedShape {
  int64_t batch, in_channels, height, width;
  int64_t out_channels, out_height, out_width;
  int64_t groups;
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width;
  int64_t pad_height, pad_width;
  bool dilated, output_padded;
};

enum class TransposedPath { no_overlap, depthwise, general };

inline TransposedPath path_of(const TransposedShape& s) {
  if (s.dilated) return TransposedPath::general;
  if (s.in_channels == s.groups && s.out_channels == s.groups) {
    return s.kernel_height <= 2 * s.stride_height && s.kernel_width <= 2 * s.stride_width
               ? TransposedPath::depthwise
               : TransposedPath::general;
  }
  const bool tiles = s.kernel_height == s.stride_height && s.kernel_width == s.stride_width &&
                     s.pad_height == 0 && s.pad_width == 0 && !s.output_padded;
  return tiles ? TransposedPath::no_overlap : TransposedPath::general;
}

// Along one axis, the taps that reach an output position: tap phase + t * stride of the kernel lies
// on pixel block - t of the input, for t in [begin, end).
template <typename Int>
struct BasicTapRange {
  Int phase, block, begin, end;
  Int run;  // positions from this one on with the same block and number of taps
};
using TapRange = BasicTapRange<int64_t>;

// `at` counts the padding.
template <typename Int>
FASTCV_HD BasicTapRange<Int> taps_at(Int at, Int stride, Int kernel, Int size) {
  const Int phase = at % stride, block = at / stride;
  const Int count = phase < kernel ? ceil_div(kernel - phase, stride) : 0;
  const Int rest = kernel % stride;  // where in a block the count falls by one
  return {phase, block, block < size ? 0 : block - size + 1, count < block + 1 ? count : block + 1,
          (phase < rest ? rest : stride) - phase};
}

// Of all positions of an output. `starts`: the rows that begin a run.
struct TapTables {
  const TapRange *rows, *columns;
  const int64_t* starts;
  int64_t blocks;  // how many
};

}  // namespace fastcv
