// RoIAlign's gradient in few instructions: what a bin takes from a pixel is a weight of the row
// times a weight of the column, so a block works these out once for each RoI that touches its tile,
// in shared memory, and all its pixels and channels use them.
#pragma once

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/roi/roi_gather.cuh"
#include "common/roi/roi_sampling.h"

namespace fastcv::cuda::gather {

// Op is a RoIAlignBackward. A "line" is a row or a column of the tile: first the rows, then the
// columns.
template <typename Op>
struct SeparableGather : Op {
  using Acc = typename Op::Acc;
  using Roi = typename Op::Roi;

  // Many loads at once, so that a bin's weights serve many, and yet registers for blocks_per_sm.
  // With channels_last a warp takes 32 times as many channels.
  template <bool channels_last>
  static constexpr int channels_per_thread = channels_last ? 8 : 16;
  static constexpr int blocks_per_sm = sizeof(Acc) == 8 ? 2 : 3;

  static constexpr int shared_bytes = 24 * 1024;
  static constexpr int max_at_once = 32;  // RoIs

  int at_once;  // RoIs whose weights shared memory holds
  int stride;   // from line to line, odd: neighbouring lines share no bank

  explicit SeparableGather(const Op& op, int lines) : Op(op) {
    const int64_t bins = op.options.pooled_height > op.options.pooled_width
                             ? op.options.pooled_height
                             : op.options.pooled_width;
    const int64_t odd = bins | 1;
    const int64_t fit = shared_bytes / (lines * (odd * int64_t{sizeof(Acc)} + sizeof(Range)));
    at_once = static_cast<int>(fit < max_at_once ? fit : max_at_once);
    stride = static_cast<int>(odd);
  }

  template <typename L, int channels>
  __device__ void add(const Roi* found, int count, const Place& at, Acc (&sum)[channels]) const {
    constexpr int lines = L::tile_height + L::tile_width;
    FASTCV_DYN_SHARED(Acc, weights);  // [at_once][lines][stride]
    Range* const bins = reinterpret_cast<Range*>(weights + at_once * lines * stride);
    for (int begin = 0; begin < count; begin += at_once, found += at_once) {
      const int n = count - begin < at_once ? count - begin : at_once;
      __syncthreads();  // the weights before have been used
      fill<L>(found, n, at.tile, weights);
      __syncthreads();
      trim<L>(n, weights, bins);
      __syncthreads();
      if (!at.inside) continue;
      const int row = at.y - at.tile.top, column = L::tile_height + at.x - at.tile.left;
      for (int i = 0; i < n; ++i) {
        const int line = i * lines;
        add_roi(found[i].index, bins[line + row], weights + (line + row) * stride,
                bins[line + column], weights + (line + column) * stride, at, sum);
      }
    }
  }

  // A thread makes what a bin takes from all lines along an axis.
  template <typename L>
  __device__ void fill(const Roi* found, int n, const Tile& tile, Acc* weights) const {
    constexpr int lines = L::tile_height + L::tile_width;
    const int height = this->options.pooled_height, both = height + this->options.pooled_width;
    for (int t = threadIdx.x; t < n * both; t += threads) {
      const Roi& roi = found[t / both];
      Acc* const of_roi = weights + t / both * (lines * stride);
      const int bin = t % both;
      if (bin < height) {
        spread(roi.rows, bin, tile.top, L::tile_height, this->extent.height, roi.per_sample,
               of_roi + bin);
      } else {
        spread(roi.columns, bin - height, tile.left, L::tile_width, this->extent.width, Acc(1),
               of_roi + L::tile_height * stride + bin - height);
      }
    }
  }

  __device__ void spread(const Bins<Acc>& axis, int bin, int first, int count, int size, Acc scale,
                         Acc* weights) const {
    for (int i = 0; i < count; ++i) weights[i * stride] = 0;
    const Range samples = samples_between(axis, bin, Acc(first) - 1, Acc(first) + Acc(count));
    for (int i = samples.begin; i < samples.end; ++i) {
      const auto s = axis_sample(axis.position(bin, i), size);
      const int low = s.low - first, high = s.high - first;
      if (low >= 0 && low < count) weights[low * stride] += scale * s.low_weight;
      if (high >= 0 && high < count) weights[high * stride] += scale * s.high_weight;
    }
  }

  // The bins of each line from the first to the last that take from it.
  template <typename L>
  __device__ void trim(int n, const Acc* weights, Range* bins) const {
    constexpr int lines = L::tile_height + L::tile_width;
    for (int t = threadIdx.x; t < n * lines; t += threads) {
      const Acc* w = weights + t * stride;
      Range r{
          0, t % lines < L::tile_height ? this->options.pooled_height : this->options.pooled_width};
      while (r.begin < r.end && w[r.begin] == 0) ++r.begin;
      while (r.begin < r.end && w[r.end - 1] == 0) --r.end;
      bins[t] = r;
    }
  }

  template <int channels>
  __device__ void add_roi(int64_t index, Range rows, const Acc* of_row, Range columns,
                          const Acc* of_column, const Place& at, Acc (&sum)[channels]) const {
    const auto& grad = this->grad;
    const auto* of_roi = grad.data + index * grad.n + at.channel * grad.c;
    const int64_t step = at.step * grad.c;
    for (int ph = rows.begin; ph < rows.end; ++ph) {
#pragma unroll 1
      for (int pw = columns.begin; pw < columns.end; ++pw) {
        const Acc weight = of_row[ph] * of_column[pw];
        if (weight == 0) continue;
        const auto* g = of_roi + ph * grad.h + pw * grad.w;
        if (at.channels == channels) {
          Acc values[channels];  // all loads are on their way before the first is waited for
#pragma unroll
          for (int i = 0; i < channels; ++i) values[i] = widen(g[i * step]);
#pragma unroll
          for (int i = 0; i < channels; ++i) sum[i] = fma(weight, values[i], sum[i]);
        } else {
#pragma unroll
          for (int i = 0; i < channels; ++i) {
            if (i < at.channels) sum[i] = fma(weight, widen(g[i * step]), sum[i]);
          }
        }
      }
    }
  }
};

// False, and nothing is launched, if a RoI has so many bins that few fit in shared memory.
template <bool channels_last, typename Op, typename T>
bool launch_separable(const Op& op, Strided<T> grad_input, const Extent& extent,
                      cudaStream_t stream) {
  using Gather = SeparableGather<Op>;
  using L = Layout<channels_last, Gather::template channels_per_thread<channels_last>>;
  const Gather gather(op, L::tile_height + L::tile_width);
  if (gather.at_once < 4) return false;
  launch_in<channels_last>(gather, grad_input, extent, Gather::shared_bytes, stream);
  return true;
}

}  // namespace fastcv::cuda::gather
