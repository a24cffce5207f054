#pragma once

#include "common/roi/ps_roi.cuh"
#include "ps_roi_pool/averaged_roi.h"
#include "ps_roi_pool/ps_roi_pool_kernel.h"

namespace fastcv::cuda {

template <typename T>
struct PsRoiPoolGeometry {
  struct Roi : AveragedRoi<T> {
    int64_t index, image;
  };

  const T* rois;  // [roi_count, 5]
  PsRoiPoolOptions options;
  int pooled_height, pooled_width;

  __device__ Roi load(int64_t k) const {
    const T* r = rois + k * 5;
    return {averaged_roi(r + 1, options.spatial_scale, pooled_height, pooled_width), k,
            image_of(r[0])};
  }

  template <typename In>
  __device__ T pool(const Roi& roi, int i, int j, const Strided<const In>& input, int64_t plane,
                    const Extent& extent) const {
    const Range ys = roi.rows.window(i, extent.height), xs = roi.columns.window(j, extent.width);
    if (ys.begin >= ys.end || xs.begin >= xs.end) return 0;
    T sum = 0;
    for (int y = ys.begin; y < ys.end; ++y) {
      const In* line = input.data + plane + y * input.h;
      for (int x = xs.begin; x < xs.end; ++x) sum += widen(line[x * input.w]);
    }
    return sum / (static_cast<T>(ys.end - ys.begin) * static_cast<T>(xs.end - xs.begin));
  }

  __device__ bool touches(const Roi& roi, const Tile& tile) const {
    return meets(roi.rows, pooled_height, tile.top, tile.bottom) &&
           meets(roi.columns, pooled_width, tile.left, tile.right);
  }
  static __device__ bool meets(const AveragedAxis<T>& axis, int pooled, int begin, int end) {
    return axis.window(0, end + 1).begin < end && axis.window(pooled - 1, end + 1).end > begin;
  }

  __device__ T row_weight(const Roi& roi, int i, int y, const Extent& extent) const {
    return weight(roi.rows.window(i, extent.height), y);
  }
  __device__ T column_weight(const Roi& roi, int j, int x, const Extent& extent) const {
    return weight(roi.columns.window(j, extent.width), x);
  }
  static __device__ T weight(const Range& window, int pixel) {
    const bool inside = pixel >= window.begin && pixel < window.end;
    return inside ? 1 / static_cast<T>(window.end - window.begin) : T(0);
  }
};

template <typename T>
void launch_ps_roi_pool(Strided<const T> input, const Extent& extent, const acc_t<T>* rois,
                        int64_t roi_count, const PsRoiPoolOptions& options, Strided<T> output,
                        cudaStream_t stream) {
  launch_ps_pool(
      PsRoiPoolGeometry<acc_t<T>>{rois, options, options.pooled_height, options.pooled_width},
      roi_count, input, extent, output, stream);
}

template <typename T>
void launch_ps_roi_pool_backward(Strided<const T> grad, const acc_t<T>* rois, int64_t roi_count,
                                 const PsRoiPoolOptions& options, Strided<T> grad_input,
                                 const Extent& extent, cudaStream_t stream) {
  launch_ps_gather(
      PsRoiPoolGeometry<acc_t<T>>{rois, options, options.pooled_height, options.pooled_width},
      roi_count, grad, grad_input, extent, stream);
}

}  // namespace fastcv::cuda
