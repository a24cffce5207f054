// The outer loop of the RoI ops' forward kernels: a thread per bin and channel, or per bin and pack
// of neighbouring channels.
#pragma once

#include <cstdint>

#include "common/convert.cuh"
#include "common/launch.cuh"
#include "common/pack.cuh"
#include "common/roi_cuda.h"

namespace fastcv::cuda {

// The image a RoI names; -1 where that is no number an image could have.
template <typename T>
__device__ __forceinline__ int64_t image_of(T batch_index) {
  return batch_index >= 0 && batch_index < T(1ll << 53) ? static_cast<int64_t>(batch_index) : -1;
}

template <int size, typename T>
__device__ __forceinline__ void add_scaled(const T* p, acc_t<T> weight, acc_t<T>* sum) {
  const auto pack = *reinterpret_cast<const Pack<T, size>*>(p);
  for (int i = 0; i < size; ++i) sum[i] += weight * widen(pack.item[i]);
}

template <int size, typename T>
__device__ __forceinline__ void store_pack(T* p, const acc_t<T>* values) {
  Pack<T, size> pack;
  for (int i = 0; i < size; ++i) pack.item[i] = narrow<T>(values[i]);
  *reinterpret_cast<Pack<T, size>*>(p) = pack;
}

// Whether `size` neighbouring channels can be read or written at once everywhere.
template <int size, typename T>
bool can_pack(const Strided<T>& t, int64_t channels) {
  return t.c == 1 && channels % size == 0 && t.n % size == 0 && t.h % size == 0 &&
         t.w % size == 0 && reinterpret_cast<uintptr_t>(t.data) % (sizeof(T) * size) == 0;
}

struct BinGrid {
  int64_t rois, channels;
  int height, width;  // in bins
};

// Calls op(roi, channel, row, column) for every `pack` channels of every bin; neighbouring threads
// have neighbouring channels if `channels_last`, else neighbouring bins.
template <int pack, bool channels_last, typename Op>
__global__ void __launch_bounds__(256) bins_kernel(Op op, BinGrid bins) {
  const unsigned groups = static_cast<unsigned>(bins.channels / pack);
  const unsigned height = bins.height, width = bins.width;
  const unsigned per_roi = groups * height * width;
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= per_roi) return;
  unsigned channel, row, column;
  if (channels_last) {
    const unsigned bin = i / groups;
    channel = i % groups * pack, row = bin / width, column = bin % width;
  } else {
    channel = i / (height * width) * pack, row = i / width % height, column = i % width;
  }
  for (int64_t roi = blockIdx.y; roi < bins.rois; roi += gridDim.y) {
    op(roi, static_cast<int>(channel), static_cast<int>(row), static_cast<int>(column));
  }
}

// channels * height * width < 2^31, and none is 0.
template <int pack, bool channels_last, typename Op>
void launch_bins(const Op& op, const BinGrid& bins, cudaStream_t stream) {
  const int64_t per_roi = bins.channels / pack * bins.height * bins.width;
  const int64_t rows = bins.rois < 65535 ? bins.rois : 65535;
  launch(bins_kernel<pack, channels_last, Op>,
         dim3(static_cast<unsigned>((per_roi + 255) / 256), static_cast<unsigned>(rows)), dim3(256),
         0, stream, op, bins);
}

}  // namespace fastcv::cuda
