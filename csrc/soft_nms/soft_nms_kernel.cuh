// A block takes a group and keeps it to the end: round after round it finds the best box left, and
// on the way through all others lowers their scores and looks for the next best.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "common/nms/box.h"
#include "soft_nms/decay.h"
#include "soft_nms/soft_nms_kernel.h"

namespace fastcv::cuda {

template <typename T>
struct SoftWorkspace {
  Box<T>* boxes;         // [n], group after group
  T* scores;             // [n], likewise
  int64_t* group_begin;  // [n], in no order

  static int64_t bytes(int64_t n) {
    return n * int64_t{sizeof(Box<T>) + sizeof(T) + sizeof(int64_t)} + 8;
  }
  SoftWorkspace(void* memory, int64_t n)
      : boxes(static_cast<Box<T>*>(memory)),
        scores(reinterpret_cast<T*>(boxes + n)),
        group_begin(reinterpret_cast<int64_t*>(scores + round_up(n, 2))) {}
};

// counts[1] becomes the number of groups.
template <typename T, typename Acc>
__global__ void soft_gather_kernel(const T* __restrict__ boxes, const T* __restrict__ scores,
                                   const int64_t* __restrict__ members,
                                   const int64_t* __restrict__ groups, int64_t n, Decay<Acc> decay,
                                   SoftWorkspace<Acc> work, Acc* __restrict__ selected,
                                   int64_t* counts) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const int64_t box = members == nullptr ? i : members[i];
  const T* b = boxes + box * 4;
  work.boxes[i] = {widen(b[0]), widen(b[1]), widen(b[2]), widen(b[3])};
  const Acc score = widen(scores[box]);
  work.scores[i] = decay.in_play(score) ? score : gone<Acc>();
  selected[box] = gone<Acc>();
  if (i == 0 || (groups != nullptr && groups[i] != groups[i - 1])) {
    const auto slot = atomicAdd(reinterpret_cast<unsigned long long*>(counts + 1), 1ull);
    work.group_begin[slot] = i;
  }
}

// The first position after `begin` whose group is another.
__device__ inline int64_t group_end(const int64_t* groups, int64_t begin, int64_t n) {
  if (groups == nullptr) return n;
  int64_t low = begin + 1, high = n;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (groups[middle] == groups[begin]) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// A score and where it stands; of equal scores the first is better.
template <typename T>
struct Best {
  T score;
  int64_t position;

  __device__ void consider(T other_score, int64_t other_position) {
    if (other_score > score || (other_score == score && other_position < position)) {
      score = other_score;
      position = other_position;
    }
  }

  // The best of the warp, in all lanes.
  __device__ void share() {
    for (int step = 16; step > 0; step /= 2) {
      const T other_score = __shfl_xor_sync(0xffffffffu, score, step);
      const int64_t other_position = __shfl_xor_sync(0xffffffffu, position, step);
      consider(other_score, other_position);
    }
  }
};

// blockDim.x is a multiple of 32.
template <typename T>
__global__ void soft_nms_kernel(SoftWorkspace<T> work, const int64_t* __restrict__ members,
                                const int64_t* __restrict__ groups, int64_t n, Decay<T> decay,
                                T* __restrict__ selected, int64_t* counts) {
  FASTCV_SHARED(Best<T>, of_warp, [2][32]);
  const int tid = threadIdx.x, lane = tid % 32, warps = blockDim.x / 32;
  const int64_t group_count = counts[1];
  int parity = 0;  // which half of of_warp: one barrier a round is enough
  for (int64_t g = blockIdx.x; g < group_count; g += gridDim.x) {
    const int64_t begin = work.group_begin[g];
    const int64_t end = group_end(groups, begin, n);
    Best<T> best = {gone<T>(), n};
    for (int64_t i = begin + tid; i < end; i += blockDim.x) best.consider(work.scores[i], i);
    unsigned long long kept = 0;
    while (true) {
      best.share();
      if (lane == 0) of_warp[parity][tid / 32] = best;
      __syncthreads();
      best = lane < warps ? of_warp[parity][lane] : Best<T>{gone<T>(), n};
      best.share();
      parity ^= 1;
      if (best.score == gone<T>()) break;
      ++kept;

      const int64_t chosen = best.position;
      const Box<T> b = work.boxes[chosen];
      const T b_area = area(b);
      if (tid == 0) selected[members == nullptr ? chosen : members[chosen]] = best.score;
      best = {gone<T>(), n};
      for (int64_t i = begin + tid; i < end; i += blockDim.x) {
        T score = work.scores[i];
        if (score == gone<T>()) continue;
        if (i == chosen) {
          score = gone<T>();
          work.scores[i] = score;
        } else {
          const Box<T> other = work.boxes[i];
          const T inter = intersection(b, other);
          const T iou = inter / (b_area + area(other) - inter);
          if (iou > decay.iou_threshold) {
            score = decay(score, iou);
            work.scores[i] = score;
          }
        }
        best.consider(score, i);
      }
    }
    if (tid == 0) atomicAdd(reinterpret_cast<unsigned long long*>(counts), kept);
  }
}

template <typename T>
int64_t soft_nms_workspace_bytes(int64_t n) {
  return SoftWorkspace<acc_t<T>>::bytes(n);
}

template <typename T, typename Acc>
void launch_soft_nms(const T* boxes, const T* scores, const int64_t* members, const int64_t* groups,
                     int64_t n, Decay<Acc> decay, void* workspace, Acc* selected, int64_t* counts,
                     cudaStream_t stream) {
  const SoftWorkspace<Acc> work(workspace, n);
  launch(soft_gather_kernel<T, Acc>, dim3(static_cast<unsigned>(ceil_div(n, 256))), dim3(256), 0,
         stream, boxes, scores, members, groups, n, decay, work, selected, counts);
  // One group needs one large block. Many groups are mostly small, and how many there are is known
  // on the device only: blocks without one end at once.
  const unsigned blocks = groups == nullptr ? 1 : static_cast<unsigned>(n < 1024 ? n : 1024);
  const unsigned threads = groups == nullptr ? 1024 : 256;
  launch(soft_nms_kernel<Acc>, dim3(blocks), dim3(threads), 0, stream, work, members, groups, n,
         decay, selected, counts);
}

}  // namespace fastcv::cuda
