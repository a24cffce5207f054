// Position-sensitive pooling: bin (i, j) of output channel c reads input's channel
// (c * pooled_height + i) * pooled_width + j.
//
// Geometry has T, Roi (with index and image), roi_count, pooled_height, pooled_width, load(k), and
//   touches(roi, tile): whether the RoI may have read a pixel of the tile;
//   row_weight(roi, i, y), column_weight(roi, j, x): what bin i or j takes from a row or column;
//   pool(roi, i, j, input, offset, extent): the mean of a bin of the plane at input.data + offset.
#pragma once

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/roi/roi_bins.cuh"
#include "common/roi/roi_gather.cuh"

namespace fastcv::cuda {

template <typename Geometry, typename T>
struct PsForward {
  Geometry geometry;
  Strided<const T> input;
  Extent extent;
  Strided<T> output;

  __device__ void operator()(int64_t k, int channel, int i, int j) const {
    const auto roi = geometry.load(k);
    const int64_t from =
        (int64_t{channel} * geometry.pooled_height + i) * geometry.pooled_width + j;
    acc_t<T> mean = 0;
    if (roi.image >= 0 && roi.image < extent.batch) {
      mean = geometry.pool(roi, i, j, input, roi.image * input.n + from * input.c, extent);
    }
    output.data[k * output.n + channel * output.c + i * output.h + j * output.w] = narrow<T>(mean);
  }
};

template <typename Geometry, typename T>
struct PsBackward {
  using Acc = acc_t<T>;
  using Roi = typename Geometry::Roi;
  Geometry geometry;
  int64_t roi_count;
  Strided<const T> grad;
  Extent extent;

  __device__ Roi load(int64_t k) const { return geometry.load(k); }

  __device__ bool touches(const Roi& roi, const Tile& tile) const {
    return roi.image == tile.image && geometry.touches(roi, tile);
  }

  __device__ void gather(const Roi& roi, int y, int x, int64_t channel, int step, int channels,
                         Acc* sum) const {
    const int64_t bins = int64_t{geometry.pooled_height} * geometry.pooled_width;
#pragma unroll
    for (int q = 0; q < gather::channels_of_one; ++q) {
      if (q >= channels) break;
      const int64_t from = channel + int64_t{q} * step;
      const int bin = static_cast<int>(from % bins);
      const int i = bin / geometry.pooled_width, j = bin % geometry.pooled_width;
      Acc weight = geometry.row_weight(roi, i, y, extent);
      if (weight == 0) continue;
      weight *= geometry.column_weight(roi, j, x, extent) * roi.per_sample;
      if (weight == 0) continue;
      sum[q] +=
          weight *
          widen(grad.data[roi.index * grad.n + from / bins * grad.c + i * grad.h + j * grad.w]);
    }
  }
};

template <typename Geometry, typename T>
void launch_ps_pool(const Geometry& geometry, int64_t roi_count, Strided<const T> input,
                    const Extent& extent, Strided<T> output, cudaStream_t stream) {
  const PsForward<Geometry, T> op{geometry, input, extent, output};
  const int64_t channels =
      extent.channels / (int64_t{geometry.pooled_height} * geometry.pooled_width);
  launch_bins<1, false>(
      op, BinGrid{roi_count, channels, geometry.pooled_height, geometry.pooled_width}, stream);
}

template <typename Geometry, typename T>
void launch_ps_gather(const Geometry& geometry, int64_t roi_count, Strided<const T> grad,
                      Strided<T> grad_input, const Extent& extent, cudaStream_t stream) {
  const PsBackward<Geometry, T> op{geometry, roi_count, grad, extent};
  launch_gather(op, grad_input, extent, stream);
}

}  // namespace fastcv::cuda
