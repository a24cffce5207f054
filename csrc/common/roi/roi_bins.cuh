// The outer loop of the RoI ops' forward kernels: a thread per bin and channel, or per bin and pack
// of channels.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/pack.cuh"
#include "common/host/ceil_div.h"
#include "common/roi/roi_cuda.h"

namespace fastcv::cuda {

// The image a RoI names; -1 where that is no number an image could have.
template <typename T>
__device__ __forceinline__ int64_t image_of(T batch_index) {
  return batch_index >= 0 && batch_index < T(1ll << 53) ? static_cast<int64_t>(batch_index) : -1;
}

// Of `size` channels that lie `step` apart from p on: neighbours, and read or written at once, if
// `packed`.
template <int size, bool packed, typename T>
__device__ __forceinline__ void add_scaled(const T* p, int64_t step, acc_t<T> weight,
                                           acc_t<T>* sum) {
  if constexpr (packed) {
    const auto pack = *reinterpret_cast<const Pack<T, size>*>(p);
    for (int i = 0; i < size; ++i) sum[i] += weight * widen(pack.item[i]);
  } else {
    for (int i = 0; i < size; ++i) sum[i] += weight * widen(p[i * step]);
  }
}

template <int size, bool packed, typename T>
__device__ __forceinline__ void store_channels(T* p, int64_t step, const acc_t<T>* values) {
  if constexpr (packed) {
    store_pack<size>(p, values);
  } else {
    for (int i = 0; i < size; ++i) p[i * step] = narrow<T>(values[i]);
  }
}

// How many planes a thread of bins_kernel works on where channels are no neighbours: it finds a
// bin's place and weights once for all of them.
template <typename T>
inline constexpr int planes_per_thread = 32 / sizeof(acc_t<T>);

struct BinGrid {
  int64_t rois, channels;
  int height, width;  // in bins
};

// Calls op(roi, channel, row, column) for every `pack` channels of every bin; neighbouring threads
// have neighbouring channels if `channels_last`, else neighbouring bins. Blocks that run at the
// same time share what they read: bins of one RoI if `channels_last`, else the planes of some
// channels, which stay in L2 while all RoIs are pooled from them. A pack of 8 is held to the
// 64 registers of four blocks on an SM; the others are near them by themselves.
template <int pack, bool channels_last, typename Op>
__global__ void __launch_bounds__(256, pack < 8 ? 0 : 4)
    bins_kernel(Op op, BinGrid bins, unsigned parts, unsigned rois_at_once) {
  const unsigned groups = static_cast<unsigned>(bins.channels / pack);
  const unsigned height = bins.height, width = bins.width;
  const unsigned part = channels_last ? blockIdx.x % parts : blockIdx.x / rois_at_once;
  const unsigned first = channels_last ? blockIdx.x / parts : blockIdx.x % rois_at_once;
  const unsigned i = part * blockDim.x + threadIdx.x;
  if (i >= groups * height * width) return;
  unsigned channel, row, column;
  if (channels_last) {
    const unsigned bin = i / groups;
    channel = i % groups * pack, row = bin / width, column = bin % width;
  } else {
    channel = i / (height * width) * pack, row = i / width % height, column = i % width;
  }
  for (int64_t roi = first; roi < bins.rois; roi += rois_at_once) {
    op(roi, static_cast<int>(channel), static_cast<int>(row), static_cast<int>(column));
  }
}

// channels * height * width < 2^31, and none is 0.
template <int pack, bool channels_last, typename Op>
void launch_bins(const Op& op, const BinGrid& bins, cudaStream_t stream) {
  const int64_t parts = ceil_div(bins.channels / pack * bins.height * bins.width, 256);
  const int64_t max_rois = ((int64_t{1} << 31) - 1) / parts;  // blocks in a grid
  const int64_t rois_at_once = bins.rois < max_rois ? bins.rois : max_rois;
  launch(bins_kernel<pack, channels_last, Op>, dim3(static_cast<unsigned>(parts * rois_at_once)),
         dim3(256), 0, stream, op, bins, static_cast<unsigned>(parts),
         static_cast<unsigned>(rois_at_once));
}

}  // namespace fastcv::cuda
