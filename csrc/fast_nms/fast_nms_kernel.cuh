// A thread has a box and looks at all better ones of its class, which a block reads into shared
// memory, as many at a time as it has threads.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "common/nms/box.h"
#include "fast_nms/fast_nms_kernel.h"

namespace fastcv::cuda {

template <typename T>
__global__ void __launch_bounds__(256)
    fast_nms_kernel(const T* __restrict__ boxes, const int64_t* __restrict__ order, int64_t classes,
                    int64_t k, acc_t<T> threshold, uint8_t* __restrict__ kept) {
  using Acc = acc_t<T>;
  constexpr int threads = 256;
  FASTCV_SHARED(Box<Acc>, better, [threads]);
  const int64_t blocks = ceil_div(k, threads);  // of a class
  const int64_t block = blockIdx.x % blocks, row = blockIdx.x / blocks * k;
  const auto box_of = [&](int64_t rank) {
    const T* b = boxes + order[row + rank] * 4;
    return Box<Acc>{widen(b[0]), widen(b[1]), widen(b[2]), widen(b[3])};
  };
  const int64_t rank = block * threads + threadIdx.x;
  Box<Acc> box{};
  if (rank < k) box = box_of(rank);
  const Acc own = area(box);
  bool above = false;
  for (int64_t first = 0; first <= block * threads; first += threads) {
    if (first + threadIdx.x < k) better[threadIdx.x] = box_of(first + threadIdx.x);
    __syncthreads();
    const int64_t before = rank < k ? rank - first : 0;
    const int count = static_cast<int>(before < threads ? before : threads);
    for (int i = 0; i < count && !above; ++i) {
      const Acc inter = intersection(better[i], box);
      above = inter / (area(better[i]) + own - inter) > threshold;
    }
    __syncthreads();
  }
  if (rank < k) kept[row + rank] = !above;
}

template <typename T>
void launch_fast_nms(const T* boxes, const int64_t* order, int64_t classes, int64_t k,
                     double iou_threshold, uint8_t* kept, cudaStream_t stream) {
  constexpr int threads = 256;
  launch(fast_nms_kernel<T>, dim3(static_cast<unsigned>(classes * ceil_div(k, threads))),
         dim3(threads), 0, stream, boxes, order, classes, k, round_down<acc_t<T>>(iou_threshold),
         kept);
}

}  // namespace fastcv::cuda
