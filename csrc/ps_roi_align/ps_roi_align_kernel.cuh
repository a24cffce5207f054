#pragma once

#include "common/roi/ps_roi.cuh"
#include "common/roi/roi_bilinear.cuh"
#include "ps_roi_align/ps_roi_align_kernel.h"

namespace fastcv::cuda {

template <typename T>
struct PsRoiAlignGeometry {
  struct Roi : AlignedRoi<T> {
    int64_t index, image;
  };

  const T* rois;  // [roi_count, 5]
  RoiAlignOptions options;
  int pooled_height, pooled_width;

  __device__ Roi load(int64_t k) const {
    const T* r = rois + k * 5;
    return {aligned_roi(r + 1, options), k, image_of(r[0])};
  }

  template <typename In>
  __device__ T pool(const Roi& roi, int i, int j, const Strided<const In>& input, int64_t plane,
                    const Extent& extent) const {
    T sum[1] = {};
    add_bilinear<1>(roi.rows, i, roi.columns, j, input.data + plane, input, extent, sum);
    return sum[0] * roi.per_sample;
  }

  __device__ bool touches(const Roi& roi, const Tile& tile) const {
    return reaches(roi.rows, tile.top, tile.bottom - 1) &&
           reaches(roi.columns, tile.left, tile.right - 1);
  }
  __device__ T row_weight(const Roi& roi, int i, int y, const Extent& extent) const {
    return bin_weight(roi.rows, i, y, extent.height);
  }
  __device__ T column_weight(const Roi& roi, int j, int x, const Extent& extent) const {
    return bin_weight(roi.columns, j, x, extent.width);
  }
};

template <typename T>
void launch_ps_roi_align(Strided<const T> input, const Extent& extent, const acc_t<T>* rois,
                         int64_t roi_count, const RoiAlignOptions& options, Strided<T> output,
                         cudaStream_t stream) {
  launch_ps_pool(
      PsRoiAlignGeometry<acc_t<T>>{rois, options, options.pooled_height, options.pooled_width},
      roi_count, input, extent, output, stream);
}

template <typename T>
void launch_ps_roi_align_backward(Strided<const T> grad, const acc_t<T>* rois, int64_t roi_count,
                                  const RoiAlignOptions& options, Strided<T> grad_input,
                                  const Extent& extent, cudaStream_t stream) {
  launch_ps_gather(
      PsRoiAlignGeometry<acc_t<T>>{rois, options, options.pooled_height, options.pooled_width},
      roi_count, grad, grad_input, extent, stream);
}

}  // namespace fastcv::cuda
