#pragma once

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/roi/roi_bilinear.cuh"
#include "common/roi/roi_gather.cuh"
#include "common/roi/roi_sampling.h"
#include "roi_align/roi_align_kernel.h"
#include "roi_align/separable_gather.cuh"
#include "roi_align/window_forward.cuh"

namespace fastcv::cuda {

template <typename T>
struct RoiAlignGeometry {
  struct Roi : AlignedRoi<T> {
    int64_t index, image;
  };

  const T* rois;  // [roi_count, 5]
  int64_t roi_count;
  RoiAlignOptions options;

  __device__ Roi load(int64_t k) const {
    const T* r = rois + k * 5;
    return {aligned_roi(r + 1, options), k, image_of(r[0])};
  }
};

// A thread makes `pack` channels of one bin.
template <typename T, int pack>
struct RoiAlignForward : RoiAlignGeometry<acc_t<T>> {
  using Acc = acc_t<T>;
  Strided<const T> input;
  Extent extent;
  Strided<T> output;

  __device__ void operator()(int64_t k, int channel, int ph, int pw) const {
    const auto roi = this->load(k);
    Acc sum[pack] = {};
    if (roi.image >= 0 && roi.image < extent.batch) {
      const T* image = input.data + roi.image * input.n + channel * input.c;
      add_bilinear<pack>(roi.rows, ph, roi.columns, pw, image, input, extent, sum);
    }
    for (Acc& s : sum) s *= roi.per_sample;
    store_pack<pack>(
        output.data + k * output.n + channel * output.c + ph * output.h + pw * output.w, sum);
  }
};

template <typename T>
struct RoiAlignBackward : RoiAlignGeometry<acc_t<T>> {
  using Acc = acc_t<T>;
  using Roi = typename RoiAlignGeometry<Acc>::Roi;
  Strided<const T> grad;
  Extent extent;

  __device__ bool touches(const Roi& roi, const Tile& tile) const {
    return roi.image == tile.image && reaches(roi.rows, tile.top, tile.bottom - 1) &&
           reaches(roi.columns, tile.left, tile.right - 1);
  }

  __device__ void gather(const Roi& roi, int y, int x, int64_t channel, int step, int channels,
                         Acc* sum) const {
    const Range rows = bins_between(roi.rows, Acc(y - 1), Acc(y + 1));
    const Range columns = bins_between(roi.columns, Acc(x - 1), Acc(x + 1));
    const T* of_roi = grad.data + roi.index * grad.n + channel * grad.c;
    for (int ph = rows.begin; ph < rows.end; ++ph) {
      const Acc row_weight = bin_weight(roi.rows, ph, y, extent.height);
      if (row_weight == 0) continue;
      for (int pw = columns.begin; pw < columns.end; ++pw) {
        const Acc weight =
            row_weight * bin_weight(roi.columns, pw, x, extent.width) * roi.per_sample;
        if (weight == 0) continue;
        const T* g = of_roi + ph * grad.h + pw * grad.w;
#pragma unroll
        for (int i = 0; i < gather::channels_of_one; ++i) {
          if (i < channels) sum[i] += weight * widen(g[i * step * grad.c]);
        }
      }
    }
  }
};

template <typename T>
void launch_roi_align(Strided<const T> input, const Extent& extent, const acc_t<T>* rois,
                      int64_t roi_count, const RoiAlignOptions& options, Strided<T> output,
                      cudaStream_t stream) {
  const RoiAlignGeometry<acc_t<T>> geometry{rois, roi_count, options};
  const BinGrid bins{roi_count, extent.channels, options.pooled_height, options.pooled_width};
  const RoiAlignForward<T, 1> single{geometry, input, extent, output};
  if (input.c != 1 && window::launch_window<T>(single, stream)) return;
  constexpr int wide = 16 / sizeof(T);
  if (can_pack<wide>(input, extent.channels) && can_pack<wide>(output, extent.channels)) {
    const RoiAlignForward<T, wide> op{geometry, input, extent, output};
    launch_bins<wide, true>(op, bins, stream);
  } else if (input.c == 1) {
    launch_bins<1, true>(single, bins, stream);
  } else {
    launch_bins<1, false>(single, bins, stream);
  }
}

template <typename T>
void launch_roi_align_backward(Strided<const T> grad, const acc_t<T>* rois, int64_t roi_count,
                               const RoiAlignOptions& options, Strided<T> grad_input,
                               const Extent& extent, cudaStream_t stream) {
  const RoiAlignGeometry<acc_t<T>> geometry{rois, roi_count, options};
  const RoiAlignBackward<T> op{geometry, grad, extent};
  const bool separable = grad_input.c == 1
                             ? gather::launch_separable<true>(op, grad_input, extent, stream)
                             : gather::launch_separable<false>(op, grad_input, extent, stream);
  if (!separable) launch_gather(op, grad_input, extent, stream);
}

}  // namespace fastcv::cuda
