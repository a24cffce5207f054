// Greedy NMS on the device, for any kind of box.
//
// Boxes are taken in order of falling score, a chunk at a time. Within a chunk, every pair is
// compared at once into a bit mask (chunk_mask_kernel), and one block resolves the mask from the
// highest score down (resolve_kernel). Then every box after the chunk is compared with the chunk's
// kept boxes (suppress_kernel). So memory is O(n), the number of launches depends on n alone, and
// the host learns nothing until the end.
//
// A Shape says what a box is:
//   Shape::Item                                        what is stored of it
//   Shape::load(const In* boxes, int64_t i) -> Item
//   Shape::iou_above(kept, candidate, threshold) -> bool
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"

namespace fastcv::cuda::greedy {

constexpr int chunk = 4096;
constexpr int word_bits = 64;
constexpr int chunk_words = chunk / word_bits;
constexpr int resolve_threads = 1024;
constexpr int boxes_per_thread = chunk / resolve_threads;
constexpr int threads = 256;

// Boxes of different groups never meet.
template <typename Item>
struct Entry {
  Item item;
  int64_t group;
};

// Device memory of one call, carved out of one allocation.
template <typename Item>
struct Workspace {
  uint64_t* mask;       // [chunk_words][chunk]: bit j of mask[w][k]: box w * 64 + j is before k
                        // and suppresses it, should it be kept
  Entry<Item>* kept;    // [chunk]: the chunk's kept boxes
  Entry<Item>* sorted;  // [n]
  unsigned* removed;    // [n / 32]: one bit per box of `sorted`
  int* kept_in_chunk;

  static int64_t bytes(int64_t n) {
    return (chunk_words * chunk) * 8 + (chunk + n) * int64_t{sizeof(Entry<Item>)} +
           ceil_div(n, 32) * 4 + 8;
  }
  Workspace(void* memory, int64_t n)
      : mask(static_cast<uint64_t*>(memory)),
        kept(reinterpret_cast<Entry<Item>*>(mask + chunk_words * chunk)),
        sorted(kept + chunk),
        removed(reinterpret_cast<unsigned*>(sorted + n)),
        kept_in_chunk(reinterpret_cast<int*>(removed + ceil_div(n, 32))) {}
};

template <typename Shape, typename In>
__global__ void gather_kernel(const In* __restrict__ boxes, const int64_t* __restrict__ order,
                              const int64_t* __restrict__ groups, int64_t n,
                              Entry<typename Shape::Item>* sorted, unsigned* removed,
                              int64_t* count) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i == 0) *count = 0;
  if (i >= n) return;
  const int64_t box = order[i];
  sorted[i] = {Shape::load(boxes, box), groups == nullptr ? 0 : groups[box]};
  if (i % 32 == 0) removed[i / 32] = 0;
}

template <typename Shape, typename T>
__device__ bool suppresses(const Entry<typename Shape::Item>& kept,
                           const Entry<typename Shape::Item>& candidate, T threshold) {
  return kept.group == candidate.group && Shape::iou_above(kept.item, candidate.item, threshold);
}

// Block (x, y): word x of the masks of the boxes y * threads ... of a chunk of m boxes.
template <typename Shape, typename T>
__global__ void chunk_mask_kernel(const Entry<typename Shape::Item>* __restrict__ boxes, int m,
                                  T threshold, uint64_t* __restrict__ mask) {
  using Item = typename Shape::Item;
  const int first = blockIdx.x * word_bits;
  if (first >= static_cast<int>((blockIdx.y + 1) * threads)) return;  // no box here comes later
  FASTCV_SHARED(Entry<Item>, word, [word_bits]);
  const int in_word = m - first < word_bits ? m - first : word_bits;
  if (static_cast<int>(threadIdx.x) < in_word) word[threadIdx.x] = boxes[first + threadIdx.x];
  __syncthreads();
  const int k = blockIdx.y * threads + threadIdx.x;
  if (k >= m || first >= k) return;
  const Entry<Item> candidate = boxes[k];
  const int before = k - first < in_word ? k - first : in_word;
  uint64_t bits = 0;
  for (int j = 0; j < before; ++j) {
    if (suppresses<Shape>(word[j], candidate, threshold)) bits |= uint64_t{1} << j;
  }
  mask[int64_t{blockIdx.x} * chunk + k] = bits;
}

// One warp decides the 64 boxes of a word, two per lane, given which of them are removed already.
// A box is removed once one that suppresses it is kept, and kept once none that would is undecided;
// the first undecided box can always be decided, and mostly many can at once.
__device__ inline uint64_t resolve_word(const uint64_t* mask, int boxes, uint64_t removed) {
  const int lane = threadIdx.x % 32;
  // Row k of the mask holds the boxes before k; that of the word's first box was never written.
  const uint64_t low = lane > 0 && lane < boxes ? mask[lane] : 0;
  const uint64_t high = lane + 32 < boxes ? mask[lane + 32] : 0;
  uint64_t undecided = ~removed;
  if (boxes < word_bits) undecided &= (uint64_t{1} << boxes) - 1;
  uint64_t kept = 0;
  while (undecided != 0) {
    const bool keep_low = undecided >> lane & 1 && (low & (undecided | kept)) == 0;
    const bool keep_high = undecided >> (lane + 32) & 1 && (high & (undecided | kept)) == 0;
    kept |= __ballot_sync(0xffffffffu, keep_low) |
            static_cast<uint64_t>(__ballot_sync(0xffffffffu, keep_high)) << 32;
    const bool drop_low = (low & kept) != 0, drop_high = (high & kept) != 0;
    const uint64_t dropped = __ballot_sync(0xffffffffu, drop_low) |
                             static_cast<uint64_t>(__ballot_sync(0xffffffffu, drop_high)) << 32;
    undecided &= ~(kept | dropped);
  }
  return kept;
}

// One block: which boxes of the chunk sorted[base .. base + m] are kept. Appends them to `keep` and
// leaves them in `kept` for suppress_kernel.
template <typename Item>
__global__ void __launch_bounds__(resolve_threads)
    resolve_kernel(const Entry<Item>* __restrict__ sorted, const int64_t* __restrict__ order,
                   int64_t base, int m, const uint64_t* __restrict__ mask,
                   const unsigned* __restrict__ removed_before, Entry<Item>* __restrict__ kept,
                   int* kept_in_chunk, int64_t* __restrict__ keep, int64_t* count) {
  FASTCV_SHARED(unsigned, removed, [chunk / 32]);
  FASTCV_SHARED(uint64_t, kept_words, [chunk_words]);
  FASTCV_SHARED(int, rank_of_word, [chunk_words + 1]);
  const int tid = threadIdx.x;
  const int words = ceil_div(m, word_bits);
  if (tid < chunk / 32) removed[tid] = tid * 32 < m ? removed_before[base / 32 + tid] : 0u;
  __syncthreads();

  for (int w = 0; w < words; ++w) {
    const int first = w * word_bits;
    uint64_t suppressors[boxes_per_thread];  // loaded while the first warp resolves the word
    for (int q = 0; q < boxes_per_thread; ++q) {
      const int k = q * resolve_threads + tid;
      suppressors[q] = k >= first + word_bits && k < m ? mask[w * chunk + k] : 0;
    }
    if (tid < 32) {
      const int boxes = m - first < word_bits ? m - first : word_bits;
      const uint64_t gone = removed[2 * w] | static_cast<uint64_t>(removed[2 * w + 1]) << 32;
      const uint64_t kept_word = resolve_word(mask + w * chunk + first, boxes, gone);
      if (tid == 0) kept_words[w] = kept_word;
    }
    __syncthreads();
    const uint64_t kept_word = kept_words[w];
    for (int q = 0; q < boxes_per_thread; ++q) {
      const unsigned now_gone = __ballot_sync(0xffffffffu, (suppressors[q] & kept_word) != 0);
      if (tid % 32 == 0 && now_gone != 0) removed[(q * resolve_threads + tid) / 32] |= now_gone;
    }
    __syncthreads();
  }

  if (tid == 0) {
    int rank = 0;
    for (int w = 0; w < words; ++w) {
      rank_of_word[w] = rank;
      rank += __popcll(kept_words[w]);
    }
    rank_of_word[words] = rank;
  }
  __syncthreads();
  const int64_t kept_before = *count;
  for (int k = tid; k < m; k += resolve_threads) {
    const uint64_t word = kept_words[k / word_bits];
    const int bit = k % word_bits;
    if ((word >> bit & 1) == 0) continue;
    const int rank = rank_of_word[k / word_bits] + __popcll(word & ((uint64_t{1} << bit) - 1));
    keep[kept_before + rank] = order[base + k];
    kept[rank] = sorted[base + k];
  }
  __syncthreads();
  if (tid == 0) {
    *kept_in_chunk = rank_of_word[words];
    *count = kept_before + rank_of_word[words];
  }
}

// Block (x, y): the boxes x * threads ... after the chunk against the kept boxes y * threads ...
template <typename Shape, typename T>
__global__ void suppress_kernel(const Entry<typename Shape::Item>* __restrict__ kept,
                                const int* kept_in_chunk, T threshold,
                                const Entry<typename Shape::Item>* __restrict__ later,
                                int64_t n_later, unsigned* removed) {
  using Item = typename Shape::Item;
  const int first = blockIdx.y * threads;
  const int here = *kept_in_chunk - first < threads ? *kept_in_chunk - first : threads;
  if (here <= 0) return;
  FASTCV_SHARED(Entry<Item>, tile, [threads]);
  if (static_cast<int>(threadIdx.x) < here) tile[threadIdx.x] = kept[first + threadIdx.x];
  __syncthreads();
  const int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x;
  const int lane = threadIdx.x % 32;
  unsigned* word = removed + i / 32;  // of the whole warp
  // Read atomically, for blocks with other kept boxes set bits in it meanwhile.
  unsigned gone = 0;
  if (lane == 0 && i < n_later) gone = atomicOr(word, 0u);
  gone = __shfl_sync(0xffffffffu, gone, 0);
  bool suppressed = false;
  if (i < n_later && (gone >> lane & 1) == 0) {
    const Entry<Item> candidate = later[i];
    for (int j = 0; j < here && !suppressed; ++j) {
      suppressed = suppresses<Shape>(tile[j], candidate, threshold);
    }
  }
  const unsigned now_gone = __ballot_sync(0xffffffffu, suppressed);
  if (lane == 0 && now_gone != 0) atomicOr(word, now_gone);
}

// The whole sequence. `order` lists the boxes by falling score; `groups` may be null; `keep` has
// room for n, and the first *count of it are the result.
template <typename Shape, typename In, typename T>
void launch_greedy_nms(const In* boxes, const int64_t* order, const int64_t* groups, int64_t n,
                       T threshold, void* memory, int64_t* keep, int64_t* count,
                       cudaStream_t stream) {
  using Item = typename Shape::Item;
  const auto blocks = [](int64_t items) { return static_cast<unsigned>(ceil_div(items, threads)); };
  const Workspace<Item> work(memory, n);
  launch(gather_kernel<Shape, In>, dim3(blocks(n)), dim3(threads), 0, stream, boxes, order, groups,
         n, work.sorted, work.removed, count);
  for (int64_t base = 0; base < n; base += chunk) {
    const int m = static_cast<int>(n - base < chunk ? n - base : chunk);
    const unsigned words = ceil_div(m, word_bits);
    launch(chunk_mask_kernel<Shape, T>, dim3(words, blocks(m)), dim3(threads), 0, stream,
           work.sorted + base, m, threshold, work.mask);
    launch(resolve_kernel<Item>, dim3(1), dim3(resolve_threads), 0, stream, work.sorted, order,
           base, m, work.mask, work.removed, work.kept, work.kept_in_chunk, keep, count);
    const int64_t later = n - base - m;
    if (later == 0) break;
    launch(suppress_kernel<Shape, T>, dim3(blocks(later), chunk / threads), dim3(threads), 0,
           stream, work.kept, work.kept_in_chunk, threshold, work.sorted + base + m, later,
           work.removed + (base + m) / 32);
  }
}

}  // namespace fastcv::cuda::greedy
