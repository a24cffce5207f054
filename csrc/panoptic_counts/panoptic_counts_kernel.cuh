// A warp reads 32 neighbouring pixels at a time. It goes through the pairs that are among them,
// most often one, and remembers the last: only where the pair changes the table is written to.
#pragma once

#include <cstdint>

#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "panoptic_counts/panoptic_counts_kernel.h"
#include "panoptic_counts/panoptic_pair.h"

namespace fastcv::cuda {
namespace panoptic {

constexpr int threads = 256;
constexpr int64_t steps = 16;  // of 32 pixels a warp

// Adds to the pair's slot; says so where the table has none for it.
__device__ inline void add_to_table(unsigned long long pair, unsigned long long count, int bits,
                                    int64_t probes, unsigned long long* keys,
                                    unsigned long long* counts, int* status) {
  const uint64_t last = (uint64_t{1} << bits) - 1;
  uint64_t slot = panoptic_slot(pair, bits);
  for (int64_t i = 0; i < probes; ++i, slot = (slot + 1) & last) {
    const unsigned long long there = atomicCAS(keys + slot, no_pair, pair);
    if (there == no_pair || there == pair) {
      atomicAdd(counts + slot, count);
      return;
    }
  }
  atomicOr(status, table_is_full);
}

template <typename I>
__global__ void __launch_bounds__(threads)
    count_kernel(const I* predicted, const I* target, int64_t pixels, int bits, int64_t probes,
                 unsigned long long* keys, unsigned long long* counts, int* status) {
  constexpr unsigned all = 0xffffffffu;
  const int lane = threadIdx.x % 32;
  const int64_t blocks = ceil_div(pixels, threads * steps), image = blockIdx.x / blocks;
  const int64_t first = (blockIdx.x % blocks * threads + threadIdx.x / 32 * 32) * steps + lane;
  predicted += image * pixels, target += image * pixels;
  keys += image << bits, counts += image << bits;
  unsigned long long last = no_pair, count = 0;  // the same in all lanes
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t i = first + step * 32;
    unsigned long long pair = no_pair;
    if (i < pixels) {
      const int64_t p = predicted[i], t = target[i];
      if (panoptic_ids_fit(p, t)) {
        pair = panoptic_pair(p, t);
      } else {
        atomicOr(status, id_is_refused);
      }
    }
    unsigned left = __ballot_sync(all, pair != no_pair);
    while (left != 0) {
      const unsigned long long next = __shfl_sync(all, pair, __ffs(left) - 1);
      const unsigned same = __ballot_sync(all, pair == next);
      if (next != last) {
        if (lane == 0 && count > 0) {
          add_to_table(last, count, bits, probes, keys, counts, status);
        }
        last = next, count = 0;
      }
      count += __popc(same);
      left &= ~same;
    }
  }
  if (lane == 0 && count > 0) add_to_table(last, count, bits, probes, keys, counts, status);
}

}  // namespace panoptic

template <typename I>
void launch_panoptic_counts(const I* predicted, const I* target, int64_t images, int64_t pixels,
                            int bits, int64_t probes, unsigned long long* keys,
                            unsigned long long* counts, int* status, cudaStream_t stream) {
  const int64_t blocks = images * ceil_div(pixels, panoptic::threads * panoptic::steps);
  launch(panoptic::count_kernel<I>, dim3(static_cast<unsigned>(blocks)), dim3(panoptic::threads), 0,
         stream, predicted, target, pixels, bits, probes, keys, counts, status);
}

}  // namespace fastcv::cuda
