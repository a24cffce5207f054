// A block reads a query's scores and gathers those that are above its k-th best so far. When it
// has gathered enough, it sorts them and merges them into the list: every entry's place is its own
// plus how many of the other side come before it.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/cuda/launch.cuh"
#include "cosine_topk/cosine_topk_kernel.h"
#include "cosine_topk/ranked.h"

namespace fastcv::cuda {
namespace topk {

constexpr int threads = 128, capacity = 1024;

template <typename T>
struct List {
  T* scores;
  int64_t* indices;
  int64_t size;

  // How many entries come before another one.
  __device__ int64_t before(T score, int64_t index) const {
    int64_t low = 0, high = size;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (ranks_before(scores[middle], indices[middle], score, index)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

// Sorts the block's first `count` entries; `capacity` is a power of two.
template <typename T>
__device__ void sort_gathered(T* scores, int64_t* indices, int count) {
  int size = 2;
  while (size < count) size *= 2;
  for (int i = count + threadIdx.x; i < size; i += threads) {  // after all that were gathered
    scores[i] = static_cast<T>(NAN);
    indices[i] = INT64_MAX;
  }
  __syncthreads();
  for (int run = 2; run <= size; run *= 2) {
    for (int step = run / 2; step > 0; step /= 2) {
      for (int i = threadIdx.x; i < size / 2; i += threads) {
        const int a = i / step * step * 2 + i % step, b = a + step;
        const bool rising = (a & run) == 0;
        if (ranks_before(scores[b], indices[b], scores[a], indices[a]) == rising) {
          const T score = scores[a];
          const int64_t index = indices[a];
          scores[a] = scores[b], indices[a] = indices[b];
          scores[b] = score, indices[b] = index;
        }
      }
      __syncthreads();
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(threads)
    merge_kernel(const T* scores, int64_t columns, int64_t first, int64_t k, T* best_scores,
                 int64_t* best_indices) {
  FASTCV_SHARED(T, gathered, [capacity]);
  FASTCV_SHARED(int64_t, gathered_indices, [capacity]);
  FASTCV_SHARED(int, of_warp, [threads / 32]);
  const int64_t row = blockIdx.x;
  scores += row * columns, best_scores += row * 2 * k, best_indices += row * 2 * k;
  List<T> list{best_scores, best_indices, first < k ? first : k};
  List<T> other{best_scores + k, best_indices + k, 0};
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int count = 0;  // the same in all threads
  for (int64_t begin = 0; begin < columns; begin += threads) {
    const int64_t column = begin + threadIdx.x;
    bool wanted = false;
    T score = 0;
    if (column < columns) {
      score = scores[column];
      // Its index is above those of the list.
      wanted = list.size < k || ranks_before(score, int64_t{1}, list.scores[k - 1], int64_t{0});
    }
    const unsigned votes = __ballot_sync(0xffffffffu, wanted);
    if (lane == 0) of_warp[warp] = __popc(votes);
    __syncthreads();
    int place = count + __popc(votes & ((1u << lane) - 1));
    for (int w = 0; w < threads / 32; ++w) {
      if (w < warp) place += of_warp[w];
      count += of_warp[w];
    }
    if (wanted) gathered[place] = score, gathered_indices[place] = first + column;
    __syncthreads();
    const bool is_last = begin + threads >= columns;
    const bool has_first = list.size < k && list.size + count >= k;
    if (count == 0 || !(is_last || has_first || count > capacity - threads)) continue;
    sort_gathered(gathered, gathered_indices, count);
    const List<T> found{gathered, gathered_indices, count};
    for (int64_t i = threadIdx.x; i < list.size; i += threads) {
      const int64_t to = i + found.before(list.scores[i], list.indices[i]);
      if (to < k) other.scores[to] = list.scores[i], other.indices[to] = list.indices[i];
    }
    for (int64_t i = threadIdx.x; i < count; i += threads) {
      const int64_t to = i + list.before(gathered[i], gathered_indices[i]);
      if (to < k) other.scores[to] = gathered[i], other.indices[to] = gathered_indices[i];
    }
    __syncthreads();
    const int64_t size = list.size + count;
    const List<T> merged{other.scores, other.indices, size < k ? size : k};
    other = list, list = merged;
    count = 0;
  }
  if (list.scores == best_scores) return;
  for (int64_t i = threadIdx.x; i < list.size; i += threads) {
    best_scores[i] = list.scores[i], best_indices[i] = list.indices[i];
  }
}

}  // namespace topk

template <typename T>
void launch_merge_best(const T* scores, int64_t rows, int64_t columns, int64_t first, int64_t k,
                       T* best_scores, int64_t* best_indices, cudaStream_t stream) {
  launch(topk::merge_kernel<T>, dim3(static_cast<unsigned>(rows)), dim3(topk::threads), 0, stream,
         scores, columns, first, k, best_scores, best_indices);
}

}  // namespace fastcv::cuda
