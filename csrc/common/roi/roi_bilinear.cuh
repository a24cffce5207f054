// The sum of one upright bin's bilinear samples.
#pragma once

#include "common/roi/roi_bins.cuh"
#include "common/roi/roi_sampling.h"

namespace fastcv::cuda {

// Adds the samples of bin (i, j) of `pack` neighbouring channels, the first of which begins at
// `image`.
template <int pack, typename Acc, typename T>
__device__ __forceinline__ void add_bilinear(const Bins<Acc>& rows, int i, const Bins<Acc>& columns,
                                             int j, const T* image, const Strided<const T>& input,
                                             const Extent& extent, Acc* sum) {
  const Range ys = samples_between(rows, i, Acc(-1), Acc(extent.height));
  const Range xs = samples_between(columns, j, Acc(-1), Acc(extent.width));
  for (int iy = ys.begin; iy < ys.end; ++iy) {
    const auto y = axis_sample(rows.position(i, iy), extent.height);
    if (y.low_weight == 0 && y.high_weight == 0) continue;  // outside
    const T* low = image + y.low * input.h;
    const T* high = image + y.high * input.h;
    for (int ix = xs.begin; ix < xs.end; ++ix) {
      const auto x = axis_sample(columns.position(j, ix), extent.width);
      if (x.low_weight == 0 && x.high_weight == 0) continue;
      add_scaled<pack, true>(low + x.low * input.w, input.c, y.low_weight * x.low_weight, sum);
      add_scaled<pack, true>(low + x.high * input.w, input.c, y.low_weight * x.high_weight, sum);
      add_scaled<pack, true>(high + x.low * input.w, input.c, y.high_weight * x.low_weight, sum);
      add_scaled<pack, true>(high + x.high * input.w, input.c, y.high_weight * x.high_weight, sum);
    }
  }
}

}  // namespace fastcv::cuda
