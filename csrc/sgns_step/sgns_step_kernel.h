// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels. Between
// them it sums, sorts and searches with torch's.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "sgns_step/sgns_text.h"

namespace fastcv::cuda {

// flags [count]: 1 for a word that sub-sampling keeps, and for the end of a sentence.
void launch_sgns_flags(const SgnsText& text, int64_t* flags, cudaStream_t stream);

// What is flagged, in order, from the flags' running sums: chosen [count], of which the first
// sums[count - 1] are written.
void launch_sgns_choose(const SgnsText& text, const int64_t* flags, const int64_t* sums,
                        int64_t* chosen, cudaStream_t stream);

// A slot for each pair that there may be, [count, 2 * window, 1 + negative]. keys: centre's shard *
// shards + output's shard; shards * shards: there is no pair. pairs: centre << 32 | output << 1 |
// label.
void launch_sgns_pairs(const SgnsText& text, const int64_t* sums, const int64_t* chosen,
                       int64_t shards, int32_t* keys, int64_t* pairs, cudaStream_t stream);

// One round. order: the slots by key, as a stable sort has them; starts [shards * shards + 1]:
// where each key begins in it. errors [shards, text.most_pairs()] is scratch; losses [shards *
// shards] gets those of this round's keys. Rows are input_stride and output_stride apart.
template <typename T>
void launch_sgns_round(int64_t round, int64_t shards, int64_t most_pairs, const int64_t* order,
                       const int64_t* starts, const int64_t* pairs, T* input, int64_t input_stride,
                       T* output, int64_t output_stride, int64_t d, T lr, T* errors, double* losses,
                       cudaStream_t stream);

}  // namespace fastcv::cuda
