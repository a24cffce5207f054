// RoIAlign where pixels, not channels, are neighbours in memory. Bins are some pixels apart, so a
// warp that reads the map for its bins reads 4 bytes of each of many sectors, and again for the
// next corner and sample. Here a block copies what its RoI reads of some channels to shared memory,
// row by row, and samples from there.
#pragma once

#include <climits>
#include <cstdint>

#include "common/cuda/async_copy.cuh"
#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "common/roi/roi_sampling.h"

namespace fastcv::cuda::window {

constexpr int threads = 256;
template <typename T>
inline constexpr int blocks_per_sm = sizeof(T) == 8 ? 3 : 5;
// Of a block. Blocks that run at the same time have the same channels, which stay in L2.
constexpr int channels_of_block = 32;
constexpr int pixel_bytes = 40 * 1024;  // what a block holds of the map at once
// A thread takes two channels of a bin, which share the bin's weights; its neighbours, as many as
// `lanes`, others of the same bin. The channels of the lanes begin 32 bytes apart modulo all banks,
// so that they share none.
constexpr int lanes = 4;
constexpr int banks_bytes = 128, shift_bytes = banks_bytes / lanes;
constexpr int max_samples = threads;  // along an axis

// Where a sample lies along an axis: between pixels low and low + 1, if there is such a one.
template <typename Acc>
struct Tap {
  int low;  // -1: the sample is outside of the image
  Acc high_weight;
};

// The samples from bin `first` on, a thread each; ends[0] and ends[1] become the first and the last
// low pixel.
template <typename Acc>
__device__ void find_taps(const Bins<Acc>& bins, int first, int samples, int size, Tap<Acc>* taps,
                          int* ends) {
  const int s = threadIdx.x;
  if (s >= samples) return;
  const auto at = axis_sample(bins.position(first + s / bins.count, s % bins.count), size);
  const bool inside = at.low_weight != 0 || at.high_weight != 0;
  taps[s] = {inside ? at.low : -1, at.high_weight};
  if (inside) {
    atomicMin(&ends[0], at.low);
    atomicMax(&ends[1], at.low);
  }
}

// How many rows of bins to work on at once, when `fit` rows of pixels do: as many at each turn.
template <typename Acc>
__device__ int bins_at_once(const Bins<Acc>& rows, int fit) {
  if (rows.count == 0) return rows.pooled;
  int max_bins = fit / (2 * rows.count);  // with the two rows of every sample
  const Acc together = static_cast<Acc>(fit - 3) / rows.length;  // with all rows in between
  if (together > static_cast<Acc>(max_bins)) {
    max_bins = together < static_cast<Acc>(rows.pooled) ? static_cast<int>(together) : rows.pooled;
  }
  const int listed = max_samples / rows.count;
  max_bins = min(min(max_bins, listed), rows.pooled);
  if (max_bins < 1) return 1;
  const int turns = ceil_div(rows.pooled, max_bins);
  return ceil_div(rows.pooled, turns);
}

// What a block has copied of its channels: some rows, and of each the same columns.
struct Window {
  int column, columns;  // the first, and how many
  int row, rows;        // if `dense`, rows [row, row + rows)
  bool dense;           // else rows low and low + 1 of each sample
  int plane;            // elements from channel to channel
};

// `pack` elements of a row can be copied at once.
template <int pack, typename T>
__device__ __forceinline__ void copy_window(const Window& w, const Strided<const T>& input,
                                            const T* image, const Extent& extent,
                                            const Tap<acc_t<T>>* row_taps, int channels,
                                            T* pixels) {
  const int packs = w.columns / pack;
  for (int i = threadIdx.x; i < w.rows * packs; i += threads) {
    const int slot = i / packs, column = i % packs * pack;
    int row = w.row + slot;
    if (!w.dense) {
      const int low = row_taps[slot / 2].low;
      row = low < 0 ? 0 : min(low + slot % 2, extent.height - 1);
    }
    const T* from = image + row * input.h + w.column + column;
    T* to = pixels + slot * w.columns + column;
#pragma unroll 4
    for (int c = 0; c < channels; ++c) {
      if constexpr (pack == 1) {
        *to = *from;
      } else {
        copy_async16(to, from, true);
      }
      from += input.c;
      to += w.plane;
    }
  }
  commit_copies();
  wait_copies<0>();
}

// Of one bin, whose samples are [rows.begin, rows.end) x [columns.begin, columns.end), the channel
// that begins at `plane` and the one `step` elements later.
template <typename T, typename Acc>
__device__ __forceinline__ void sample_window(const Window& w, const Extent& extent, const T* plane,
                                              int step, const Tap<Acc>* row_taps, Range rows,
                                              const Tap<Acc>* column_taps, Range columns,
                                              Acc (&sum)[2]) {
  for (int i = rows.begin; i < rows.end; ++i) {
    const Tap<Acc> y = row_taps[i];
    if (y.low < 0) continue;
    const T* low = plane + (w.dense ? y.low - w.row : 2 * i) * w.columns - w.column;
    const int down = y.low < extent.height - 1 ? w.columns : 0;
    const Acc low_weight = 1 - y.high_weight;
    for (int j = columns.begin; j < columns.end; ++j) {
      const Tap<Acc> x = column_taps[j];
      if (x.low < 0) continue;
      const int right = x.low < extent.width - 1 ? 1 : 0;
      const Acc left_weight = 1 - x.high_weight;
      const Acc weights[4] = {low_weight * left_weight, low_weight * x.high_weight,
                              y.high_weight * left_weight, y.high_weight * x.high_weight};
      const T* corner = low + x.low;
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const T values[4] = {corner[0], corner[right], corner[down], corner[down + right]};
#pragma unroll
        for (int k = 0; k < 4; ++k) sum[c] += weights[k] * widen(values[k]);
        corner += step;
      }
    }
  }
}

// `bins` rows of bins from `top` on, of all channels of the block, without a window.
template <typename Op>
__device__ void pool_directly(const Op& op, int64_t k, int first_channel, int channels, int top,
                              int bins) {
  const int width = op.options.pooled_width, of_channel = bins * width;
  for (int i = threadIdx.x; i < channels * of_channel; i += threads) {
    const int bin = i % of_channel;
    op(k, first_channel + i / of_channel, top + bin / width, bin % width);
  }
}

// A block makes all bins of one RoI in channels_of_block channels: as many rows of bins at once,
// and of these as many channels, as shared memory holds windows for. Sums run in the same order as
// without windows. Op is a RoIAlignForward of one channel.
template <int pack, typename T, typename Op>
__global__ void __launch_bounds__(threads, blocks_per_sm<T>) window_kernel(Op op, unsigned rois) {
  using Acc = acc_t<T>;
  FASTCV_SHARED(Tap<Acc>, row_taps, [max_samples]);
  FASTCV_SHARED(Tap<Acc>, column_taps, [max_samples]);
  FASTCV_SHARED(int, row_ends, [2]);
  FASTCV_SHARED(int, column_ends, [2]);
  FASTCV_DYN_SHARED(T, pixels);  // [channel][row][column]

  const int tid = threadIdx.x;
  const unsigned k = blockIdx.x % rois;
  const int first_channel = blockIdx.x / rois * channels_of_block;
  const int channels = min(channels_of_block, static_cast<int>(op.extent.channels) - first_channel);
  const int pooled_height = op.options.pooled_height, pooled_width = op.options.pooled_width;
  const auto roi = op.load(k);
  Extent extent = op.extent;
  const T* image = op.input.data + first_channel * op.input.c;
  if (roi.image >= 0 && roi.image < extent.batch) {
    image += roi.image * op.input.n;
  } else {
    extent.height = extent.width = 0;  // all samples are outside
  }

  const bool listed =
      roi.rows.count <= max_samples && roi.columns.count <= max_samples / pooled_width;
  const int samples = listed ? pooled_width * roi.columns.count : 0;
  if (tid < 2) column_ends[tid] = tid == 0 ? INT_MAX : -1;
  __syncthreads();
  find_taps(roi.columns, 0, samples, extent.width, column_taps, column_ends);
  __syncthreads();
  Window w;
  w.column = column_ends[1] < 0 ? 0 : column_ends[0] / pack * pack;
  const int end = min(column_ends[1] + 2, extent.width);
  w.columns = column_ends[1] < 0 ? 0 : round_up(end - w.column, pack);
  const int row_bytes = w.columns * static_cast<int>(sizeof(T));
  // Samples that leave sectors of 32 bytes between them are read from where they are.
  const bool close = listed && row_bytes <= 64 * samples;
  const int fit = (pixel_bytes / (2 * lanes) - 2 * banks_bytes) / max(row_bytes, 1);
  const int at_once = close ? bins_at_once(roi.rows, fit) : pooled_height;

  for (int top = 0; top < pooled_height; top += at_once) {
    const int bins = min(at_once, pooled_height - top);
    if (tid < 2) row_ends[tid] = tid == 0 ? INT_MAX : -1;
    __syncthreads();
    const int row_samples = close ? bins * roi.rows.count : 0;
    find_taps(roi.rows, top, row_samples, extent.height, row_taps, row_ends);
    __syncthreads();
    // Of samples more than two pixels apart, their rows are fewer than those from first to last.
    w.row = row_ends[1] < 0 ? 0 : row_ends[0];
    w.rows = row_ends[1] < 0 ? 0 : min(row_ends[1] + 2, extent.height) - w.row;
    w.dense = w.rows <= 2 * row_samples;
    if (!w.dense) w.rows = 2 * row_samples;
    const int64_t bytes = int64_t{w.rows} * row_bytes;
    if (!close || bytes > pixel_bytes - 2 * banks_bytes) {
      pool_directly(op, k, first_channel, channels, top, bins);
      __syncthreads();  // row_ends has been used
      continue;
    }
    const int plane_bytes = round_up(static_cast<int>(bytes), banks_bytes) + shift_bytes;
    w.plane = plane_bytes / static_cast<int>(sizeof(T));
    int at_a_time = min(pixel_bytes / plane_bytes, channels);
    if (at_a_time > 2 * lanes) at_a_time -= at_a_time % (2 * lanes);
    for (int begin = 0; begin < channels; begin += at_a_time) {
      const int n = min(at_a_time, channels - begin);
      copy_window<pack>(w, op.input, image + begin * op.input.c, extent, row_taps, n, pixels);
      __syncthreads();
      for (int i = tid; i < bins * pooled_width * lanes; i += threads) {
        const int bin = i / lanes, row = bin / pooled_width, column = bin % pooled_width;
        const Range ys{row * roi.rows.count, (row + 1) * roi.rows.count};
        const Range xs{column * roi.columns.count, (column + 1) * roi.columns.count};
        T* const to = op.output.data + k * op.output.n + (first_channel + begin) * op.output.c +
                      (top + row) * op.output.h + column * op.output.w;
        for (int c = i % lanes; c < n; c += 2 * lanes) {
          const bool two = c + lanes < n;
          Acc sum[2] = {};
          sample_window(w, extent, pixels + c * w.plane, two ? lanes * w.plane : 0, row_taps, ys,
                        column_taps, xs, sum);
          to[c * op.output.c] = narrow<T>(sum[0] * roi.per_sample);
          if (two) to[(c + lanes) * op.output.c] = narrow<T>(sum[1] * roi.per_sample);
        }
      }
      __syncthreads();  // the pixels have been used
    }
  }
}

// False, and nothing is launched, if pixels are no neighbours or channels are few.
template <typename T, typename Op>
bool launch_window(const Op& op, cudaStream_t stream) {
  const auto& in = op.input;
  const int64_t slabs = ceil_div(op.extent.channels, channels_of_block);
  const int64_t blocks = slabs * op.roi_count;
  if (in.w != 1 || op.extent.channels < 2 * lanes || blocks >= int64_t{1} << 31) return false;
  constexpr int pack = 16 / sizeof(T);
  const bool packed = in.n % pack == 0 && in.c % pack == 0 && in.h % pack == 0 &&
                      op.extent.width % pack == 0 && reinterpret_cast<uintptr_t>(in.data) % 16 == 0;
  launch(packed ? window_kernel<pack, T, Op> : window_kernel<1, T, Op>,
         dim3(static_cast<unsigned>(blocks)), dim3(threads), pixel_bytes, stream, op,
         static_cast<unsigned>(op.roi_count));
  return true;
}

}  // namespace fastcv::cuda::window
