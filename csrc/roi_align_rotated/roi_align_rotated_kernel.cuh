#pragma once

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/roi/roi_bins.cuh"
#include "common/roi/roi_gather.cuh"
#include "roi_align_rotated/roi_align_rotated_kernel.h"
#include "roi_align_rotated/rotated_roi.h"

namespace fastcv::cuda {

template <typename T>
struct RotatedGeometry {
  struct Roi : RotatedRoi<T> {
    int64_t index, image;
  };

  const T* rois;  // [roi_count, 6]
  int64_t roi_count;
  RoiAlignOptions options;

  __device__ Roi load(int64_t k) const {
    const T* r = rois + k * 6;
    return {rotated_roi(r + 1, options), k, image_of(r[0])};
  }
};

// A thread makes `pack` channels of one bin; `packed` if they are neighbours in memory.
template <typename T, int pack, bool packed>
struct RotatedForward : RotatedGeometry<acc_t<T>> {
  using Acc = acc_t<T>;
  Strided<const T> input;
  Extent extent;
  Strided<T> output;

  __device__ void operator()(int64_t k, int channel, int ph, int pw) const {
    const auto roi = this->load(k);
    Acc sum[pack] = {};
    if (roi.image >= 0 && roi.image < extent.batch) {
      const T* image = input.data + roi.image * input.n + channel * input.c;
      const Acc radius = image_radius<Acc>(extent.height, extent.width);
      const Point<Acc> centre = roi.in_frame(Acc(extent.width - 1) / 2, Acc(extent.height - 1) / 2);
      const Range vs = roi.rows_near(ph, centre, radius);
      const Range us = roi.columns_near(pw, centre, radius);
      for (int iv = vs.begin; iv < vs.end; ++iv) {
        const Acc v = roi.rows.position(ph, iv);
        for (int iu = us.begin; iu < us.end; ++iu) {
          const Point<Acc> p = roi.in_image(roi.columns.position(pw, iu), v);
          const auto y = axis_sample(p.y, extent.height), x = axis_sample(p.x, extent.width);
          if ((y.low_weight == 0 && y.high_weight == 0) ||
              (x.low_weight == 0 && x.high_weight == 0)) {
            continue;  // outside
          }
          const T* low = image + y.low * input.h;
          const T* high = image + y.high * input.h;
          add_scaled<pack, packed>(low + x.low * input.w, input.c, y.low_weight * x.low_weight,
                                   sum);
          add_scaled<pack, packed>(low + x.high * input.w, input.c, y.low_weight * x.high_weight,
                                   sum);
          add_scaled<pack, packed>(high + x.low * input.w, input.c, y.high_weight * x.low_weight,
                                   sum);
          add_scaled<pack, packed>(high + x.high * input.w, input.c, y.high_weight * x.high_weight,
                                   sum);
        }
      }
    }
    for (Acc& s : sum) s *= roi.per_sample;
    store_channels<pack, packed>(
        output.data + k * output.n + channel * output.c + ph * output.h + pw * output.w, output.c,
        sum);
  }
};

template <typename T>
struct RotatedBackward : RotatedGeometry<acc_t<T>> {
  using Acc = acc_t<T>;
  using Roi = typename RotatedGeometry<Acc>::Roi;
  Strided<const T> grad;
  Extent extent;

  // By circles about the two.
  __device__ bool touches(const Roi& roi, const Tile& tile) const {
    const Acc height = static_cast<Acc>(tile.bottom - tile.top);
    const Acc width = static_cast<Acc>(tile.right - tile.left);
    const Acc dx = static_cast<Acc>(tile.left) + width / 2 - roi.cx;
    const Acc dy = static_cast<Acc>(tile.top) + height / 2 - roi.cy;
    const Acc reach = -roi.rows.start - roi.columns.start + height + width + 4;
    return roi.image == tile.image && dx * dx + dy * dy <= reach * reach * Acc(1.001);
  }

  __device__ void gather(const Roi& roi, int y, int x, int64_t channel, int step, int channels,
                         Acc* sum) const {
    // A sample takes from pixels less than 1 away along x and y.
    constexpr Acc reach = 1.4143;
    const Point<Acc> at = roi.in_frame(static_cast<Acc>(x), static_cast<Acc>(y));
    const Range rows = bins_between(roi.rows, at.y - reach, at.y + reach);
    const Range columns = bins_between(roi.columns, at.x - reach, at.x + reach);
    const T* of_roi = grad.data + roi.index * grad.n + channel * grad.c;
    for (int ph = rows.begin; ph < rows.end; ++ph) {
      for (int pw = columns.begin; pw < columns.end; ++pw) {
        const Acc weight = bin_weight(roi, ph, pw, at, reach, y, x) * roi.per_sample;
        if (weight == 0) continue;
        const T* g = of_roi + ph * grad.h + pw * grad.w;
#pragma unroll
        for (int i = 0; i < gather::channels_of_one; ++i) {
          if (i < channels) sum[i] += weight * widen(g[i * step * grad.c]);
        }
      }
    }
  }

  // What the samples of a bin together take from pixel (y, x).
  __device__ Acc bin_weight(const Roi& roi, int ph, int pw, const Point<Acc>& at, Acc reach, int y,
                            int x) const {
    const Range vs = roi.rows_near(ph, at, reach), us = roi.columns_near(pw, at, reach);
    Acc weight = 0;
    for (int iv = vs.begin; iv < vs.end; ++iv) {
      const Acc v = roi.rows.position(ph, iv);
      for (int iu = us.begin; iu < us.end; ++iu) {
        const Point<Acc> p = roi.in_image(roi.columns.position(pw, iu), v);
        const auto sy = axis_sample(p.y, extent.height), sx = axis_sample(p.x, extent.width);
        const Acc wy =
            (sy.low == y ? sy.low_weight : Acc(0)) + (sy.high == y ? sy.high_weight : Acc(0));
        const Acc wx =
            (sx.low == x ? sx.low_weight : Acc(0)) + (sx.high == x ? sx.high_weight : Acc(0));
        weight += wy * wx;
      }
    }
    return weight;
  }
};

template <typename T>
void launch_roi_align_rotated(Strided<const T> input, const Extent& extent, const acc_t<T>* rois,
                              int64_t roi_count, const RoiAlignOptions& options, Strided<T> output,
                              cudaStream_t stream) {
  const RotatedGeometry<acc_t<T>> geometry{rois, roi_count, options};
  const BinGrid bins{roi_count, extent.channels, options.pooled_height, options.pooled_width};
  constexpr int wide = 16 / sizeof(T), planes = planes_per_thread<T>;
  if (can_pack<wide>(input, extent.channels) && can_pack<wide>(output, extent.channels)) {
    const RotatedForward<T, wide, true> op{geometry, input, extent, output};
    launch_bins<wide, true>(op, bins, stream);
  } else if (input.c == 1) {
    const RotatedForward<T, 1, true> op{geometry, input, extent, output};
    launch_bins<1, true>(op, bins, stream);
  } else if (extent.channels % planes == 0) {
    const RotatedForward<T, planes, false> op{geometry, input, extent, output};
    launch_bins<planes, false>(op, bins, stream);
  } else {
    const RotatedForward<T, 1, true> op{geometry, input, extent, output};
    launch_bins<1, false>(op, bins, stream);
  }
}

template <typename T>
void launch_roi_align_rotated_backward(Strided<const T> grad, const acc_t<T>* rois,
                                       int64_t roi_count, const RoiAlignOptions& options,
                                       Strided<T> grad_input, const Extent& extent,
                                       cudaStream_t stream) {
  const RotatedGeometry<acc_t<T>> geometry{rois, roi_count, options};
  launch_gather(RotatedBackward<T>{geometry, grad, extent}, grad_input, extent, stream);
}

}  // namespace fastcv::cuda
