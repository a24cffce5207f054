// Pairs are drawn into a slot each and sorted by (centre's shard, output's shard). A round is a
// warp for each shard of centres. A lane has the same columns of all rows, so that a row needs no
// lock and no barrier between its uses.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/cuda/exponential.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/warp_sum.cuh"
#include "common/host/ceil_div.h"
#include "sgns_step/sgns_step_kernel.h"

namespace fastcv::cuda {
namespace sgns {

constexpr int threads = 256;

__global__ void flags_kernel(SgnsText text, int64_t* flags) {
  const int64_t n = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (n < text.count) flags[n] = !text.is_word(n) || text.is_kept(n);
}

__global__ void choose_kernel(SgnsText text, const int64_t* flags, const int64_t* sums,
                              int64_t* chosen) {
  const int64_t n = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  if (n < text.count && flags[n] != 0) chosen[sums[n] - 1] = n;
}

// The word `offset` kept words away from chosen word i; -1: the sentence ends before.
__device__ inline int64_t neighbour(const SgnsText& text, const int64_t* chosen, int64_t total,
                                    int64_t i, int64_t offset) {
  const int64_t step = offset < 0 ? -1 : 1, last = i + offset;
  if (last < 0 || last >= total) return -1;
  for (int64_t j = i + step; j != last + step; j += step) {
    if (!text.is_word(chosen[j])) return -1;
  }
  return text.words[chosen[last]];
}

__global__ void pairs_kernel(SgnsText text, const int64_t* sums, const int64_t* chosen,
                             int64_t shards, int32_t* keys, int64_t* pairs) {
  const int64_t slot = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  const int64_t places = 2 * text.window, i = slot / places, place = slot % places;
  if (i >= text.count) return;
  const int64_t total = sums[text.count - 1], most = 1 + text.negative;
  int64_t centre = -1, near = -1, n = -1;
  if (i < total) {
    n = chosen[i];
    const int64_t offset = place < text.window ? place - text.window : place - text.window + 1;
    if (text.is_word(n) && (offset < 0 ? -offset : offset) <= text.window_of(n)) {
      centre = text.words[n];
      near = neighbour(text, chosen, total, i, offset);
    }
  }
  for (int64_t k = 0; k < most; ++k) {
    int64_t output = near;
    if (near >= 0 && k > 0) {
      output = text.negative_of(n, place, k - 1);
      if (output == near || output >= text.vocabulary) output = -1;
    }
    const bool is_pair = output >= 0;
    keys[slot * most + k] = static_cast<int32_t>(
        is_pair ? centre % shards * shards + output % shards : shards * shards);
    pairs[slot * most + k] = is_pair ? centre << 32 | output << 1 | (k == 0) : 0;
  }
}

template <typename T>
__global__ void __launch_bounds__(32)
    round_kernel(int64_t round, int64_t shards, int64_t most_pairs, const int64_t* order,
                 const int64_t* starts, const int64_t* pairs, T* input, int64_t input_stride,
                 T* output, int64_t output_stride, int64_t d, T lr, T* errors, double* losses) {
  const int lane = threadIdx.x;
  const int64_t shard = blockIdx.x, key = shard * shards + (shard + round) % shards;
  const int64_t end = starts[key + 1];
  errors += shard * most_pairs;
  double loss = 0;
  for (int64_t begin = starts[key]; begin < end;) {
    const int64_t of_centre = order[begin] / most_pairs;  // its place among the chosen words
    T* const centre = input + (pairs[order[begin]] >> 32) * input_stride;
    int64_t n = 0;
    for (; begin + n < end && order[begin + n] / most_pairs == of_centre; ++n) {
      const int64_t pair = pairs[order[begin + n]];
      const T* const row = output + ((pair & 0xffffffff) >> 1) * output_stride;
      T score = 0;
      for (int64_t i = lane; i < d; i += 32) score = fma(centre[i], row[i], score);
      score = warp_sum(score);
      const bool positive = pair & 1;
      const T e = exponential(score < 0 ? score : -score);
      const T probability = (score < 0 ? e : T(1)) / (T(1) + e);
      const T wrong = positive ? -score : score;
      loss += (wrong > 0 ? wrong : T(0)) + log1p(e);
      if (lane == 0) errors[n] = ((positive ? T(1) : T(0)) - probability) * lr;
    }
    __syncwarp();
    for (int64_t i = lane; i < d; i += 32) {
      const T c = centre[i];
      T sum = 0;
      for (int64_t k = 0; k < n; ++k) {
        const int64_t pair = pairs[order[begin + k]];
        T& o = output[((pair & 0xffffffff) >> 1) * output_stride + i];
        sum = fma(errors[k], o, sum);
        o = fma(errors[k], c, o);
      }
      centre[i] = c + sum;
    }
    __syncwarp();  // the errors have been read
    begin += n;
  }
  if (lane == 0) losses[key] = loss;
}

}  // namespace sgns

void launch_sgns_flags(const SgnsText& text, int64_t* flags, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(ceil_div(text.count, sgns::threads));
  launch(sgns::flags_kernel, dim3(blocks), dim3(sgns::threads), 0, stream, text, flags);
}

void launch_sgns_choose(const SgnsText& text, const int64_t* flags, const int64_t* sums,
                        int64_t* chosen, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(ceil_div(text.count, sgns::threads));
  launch(sgns::choose_kernel, dim3(blocks), dim3(sgns::threads), 0, stream, text, flags, sums,
         chosen);
}

void launch_sgns_pairs(const SgnsText& text, const int64_t* sums, const int64_t* chosen,
                       int64_t shards, int32_t* keys, int64_t* pairs, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(ceil_div(text.count * 2 * text.window, sgns::threads));
  launch(sgns::pairs_kernel, dim3(blocks), dim3(sgns::threads), 0, stream, text, sums, chosen,
         shards, keys, pairs);
}

template <typename T>
void launch_sgns_round(int64_t round, int64_t shards, int64_t most_pairs, const int64_t* order,
                       const int64_t* starts, const int64_t* pairs, T* input, int64_t input_stride,
                       T* output, int64_t output_stride, int64_t d, T lr, T* errors, double* losses,
                       cudaStream_t stream) {
  launch(sgns::round_kernel<T>, dim3(static_cast<unsigned>(shards)), dim3(32), 0, stream, round,
         shards, most_pairs, order, starts, pairs, input, input_stride, output, output_stride, d,
         lr, errors, losses);
}

}  // namespace fastcv::cuda
