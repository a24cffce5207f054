// What a tile of NCHW outputs reads, worked out once for all channels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "atrous_separable_conv2d/separable_shape.h"
#include "common/host/ceil_div.h"

namespace fastcv {

// `count` elements of a plane of input, from `source` on at steps of the stride, to `line`.
struct LineCopy {
  int64_t source, line, count;
};

// Outputs [at, at + n) of the tile, of one row. They read lines from `line` on, by taps [first,
// end).
struct RowRun {
  int64_t at, n, line, first, end;
};

// Each run has a line for every row of the kernel and phase of the stride. Element k of a line is
// column (x + k) * stride + phase of the padded input; what lies in the padding stays as it is.
struct SeparableTile {
  int64_t image, first, n;  // outputs
  std::vector<LineCopy> copies;
  std::vector<RowRun> runs;

  SeparableTile(const SeparableShape& s, const SeparablePlan& plan, int64_t job)
      : image(job / plan.tiles),
        first(job % plan.tiles * plan.tile),
        n(std::min(plan.tile, s.out_height * s.out_width - first)) {
    for (int64_t at = 0; at < n;) {
      const int64_t y = (first + at) / s.out_width, x = (first + at) % s.out_width;
      const int64_t length = std::min(s.out_width - x, n - at);
      add_run(s, plan, at, y, x, length);
      at += length;
    }
  }

 private:
  void add_run(const SeparableShape& s, const SeparablePlan& plan, int64_t at, int64_t y, int64_t x,
               int64_t length) {
    const int64_t stride = s.stride_width, reach = (s.kernel_width - 1) * s.dilation_width;
    RowRun run{at, length, std::ssize(runs) * s.kernel_height * stride * plan.line, -1, 0};
    for (int64_t i = 0; i < s.kernel_height; ++i) {
      const int64_t row = y * s.stride_height - s.pad_height + i * s.dilation_height;
      if (row < 0 || row >= s.height) continue;
      if (run.first < 0) run.first = i * s.kernel_width;
      run.end = (i + 1) * s.kernel_width;
      for (int64_t phase = 0; phase < std::min(stride, reach + 1); ++phase) {
        const int64_t from = x * stride - s.pad_width + phase;
        const int64_t begin = from < 0 ? ceil_div(-from, stride) : 0;
        const int64_t end = from < s.width ? (s.width - from - 1) / stride + 1 : 0;
        const int64_t count = std::min(end, length + reach / stride) - begin;
        if (count <= 0) continue;
        copies.push_back({row * s.width + from + begin * stride,
                          run.line + (i * stride + phase) * plan.line + begin, count});
      }
    }
    run.first = std::max<int64_t>(run.first, 0);
    runs.push_back(run);
  }
};

// Where tap (i, j) of the kernel begins in the lines of a run.
inline int64_t tap_offset(const SeparableShape& s, const SeparablePlan& plan, int64_t i,
                          int64_t j) {
  const int64_t at = j * s.dilation_width;
  return (i * s.stride_width + at % s.stride_width) * plan.line + at / s.stride_width;
}

}  // namespace fastcv
