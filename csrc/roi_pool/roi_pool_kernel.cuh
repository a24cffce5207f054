#pragma once

#include <limits>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/roi/roi_bins.cuh"
#include "common/roi/roi_gather.cuh"
#include "roi_pool/pooled_roi.h"
#include "roi_pool/roi_pool_kernel.h"

namespace fastcv::cuda {

// Below every number that T can hold but -infinity.
template <typename T>
__device__ __forceinline__ acc_t<T> lowest() {
  return std::numeric_limits<acc_t<T>>::lowest();
}
template <>
__device__ __forceinline__ float lowest<__half>() {
  return -65504.0f;
}
template <>
__device__ __forceinline__ float lowest<__nv_bfloat16>() {
  return -3.38953139e38f;
}

template <typename T>
struct RoiPoolForward {
  using Acc = acc_t<T>;
  const Acc* rois;
  RoiPoolOptions options;
  Strided<const T> input;
  Extent extent;
  Strided<T> output;
  int32_t* argmax;

  __device__ void operator()(int64_t k, int channel, int i, int j) const {
    const Acc* r = rois + k * 5;
    const int64_t image = image_of(r[0]);
    const auto roi =
        pooled_roi(r + 1, options.spatial_scale, options.pooled_height, options.pooled_width);
    Range ys = roi.rows.window(i, extent.height), xs = roi.columns.window(j, extent.width);
    if (image < 0 || image >= extent.batch) ys.end = ys.begin;
    const bool empty = ys.begin >= ys.end || xs.begin >= xs.end;
    const T* in = input.data + (empty ? 0 : image * input.n + channel * input.c);
    Acc best = empty ? Acc(0) : lowest<T>();
    int32_t at = -1;
    for (int y = ys.begin; y < ys.end; ++y) {
      for (int x = xs.begin; x < xs.end; ++x) {
        const Acc v = widen(in[y * input.h + x * input.w]);
        if (v > best) {
          best = v;
          at = y * extent.width + x;
        }
      }
    }
    const int64_t bin = k * output.n + channel * output.c + i * output.h + j * output.w;
    output.data[bin] = narrow<T>(best);
    argmax[bin] = at;
  }
};

// A pixel looks at every bin of every RoI of its image that may hold it: only RoIs that touch its
// tile.
template <typename T>
struct RoiPoolBackward {
  using Acc = acc_t<T>;
  struct Roi {
    int64_t index, image;
    int top, bottom, left, right;  // the pixels of all bins: [top, bottom) x [left, right)
    PooledRoi<Acc> bins;
  };

  const Acc* rois;
  int64_t roi_count;
  RoiPoolOptions options;
  Strided<const T> grad;
  Strided<const int32_t> argmax;
  Extent extent;

  __device__ Roi load(int64_t k) const {
    const Acc* r = rois + k * 5;
    Roi roi;
    roi.index = k;
    roi.image = image_of(r[0]);
    roi.bins =
        pooled_roi(r + 1, options.spatial_scale, options.pooled_height, options.pooled_width);
    roi.top = roi.bins.rows.window(0, extent.height).begin;
    roi.bottom = roi.bins.rows.window(options.pooled_height - 1, extent.height).end;
    roi.left = roi.bins.columns.window(0, extent.width).begin;
    roi.right = roi.bins.columns.window(options.pooled_width - 1, extent.width).end;
    return roi;
  }

  __device__ bool touches(const Roi& roi, const Tile& tile) const {
    return roi.image == tile.image && roi.top < tile.bottom && roi.bottom > tile.top &&
           roi.left < tile.right && roi.right > tile.left;
  }

  __device__ void gather(const Roi& roi, int y, int x, int64_t channel, int step, int channels,
                         Acc* sum) const {
    if (y < roi.top || y >= roi.bottom || x < roi.left || x >= roi.right) return;
    const int pixel = y * extent.width + x;
    const Range rows = roi.bins.rows.holding(y), columns = roi.bins.columns.holding(x);
    for (int i = rows.begin; i < rows.end; ++i) {
      for (int j = columns.begin; j < columns.end; ++j) {
        const int64_t g = roi.index * grad.n + channel * grad.c + i * grad.h + j * grad.w;
        const int64_t a = roi.index * argmax.n + channel * argmax.c + i * argmax.h + j * argmax.w;
#pragma unroll
        for (int c = 0; c < gather::channels_of_one; ++c) {
          if (c < channels && argmax.data[a + c * step * argmax.c] == pixel) {
            sum[c] += widen(grad.data[g + c * step * grad.c]);
          }
        }
      }
    }
  }
};

template <typename T>
void launch_roi_pool(Strided<const T> input, const Extent& extent, const acc_t<T>* rois,
                     int64_t roi_count, const RoiPoolOptions& options, Strided<T> output,
                     int32_t* argmax, cudaStream_t stream) {
  const RoiPoolForward<T> op{rois, options, input, extent, output, argmax};
  const BinGrid bins{roi_count, extent.channels, options.pooled_height, options.pooled_width};
  if (input.c == 1) {
    launch_bins<1, true>(op, bins, stream);
  } else {
    launch_bins<1, false>(op, bins, stream);
  }
}

template <typename T>
void launch_roi_pool_backward(Strided<const T> grad, Strided<const int32_t> argmax,
                              const acc_t<T>* rois, int64_t roi_count,
                              const RoiPoolOptions& options, Strided<T> grad_input,
                              const Extent& extent, cudaStream_t stream) {
  const RoiPoolBackward<T> op{rois, roi_count, options, grad, argmax, extent};
  launch_gather(op, grad_input, extent, stream);
}

}  // namespace fastcv::cuda
