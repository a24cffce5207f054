// cosine_topk(queries, gallery, k) -> (scores, indices): the k rows of a gallery that are most
// similar to each query, without the matrix of all similarities.
//
//   queries   [Q, D] float64 | float32 | float16 | bfloat16, any strides
//   gallery   [N, D], queries' dtype and device, any strides
//   k         1 to N
//   scores    [Q, k] float32 (float64 for float64), contiguous, by falling score:
//             score(q, n) = q . n / (|q| |n|), 0 where either is all zeros
//   indices   [Q, k] int64: rows of gallery; of equal scores the lower index comes first
//
// Sums in float32 (float64 for float64): there, lengths beyond 1e-19 to 1e19 overflow as squares
// do. NaN, which comes of NaN and infinities, is after all other scores. On the CPU a score
// depends on its two rows alone, so equal rows tie exactly, wherever they are; on CUDA the product
// is torch's, where they may differ in the last bit.
//
// Errors: shapes, dtypes, devices other than above; another k.
// No gradient.
// Deterministic on both devices, and on the CPU for any number of threads.
// Memory: the output. On the CPU about 1 MiB a thread, and 32 bytes for each of k, but at least 2
// KiB, for each query and for each part of the gallery: 1 to 4 parts a thread, fewer of many
// queries. On CUDA similarities of 1024 queries with 16384 rows and copies of these rows.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_cosine_topk(const at::Tensor& queries, const at::Tensor& gallery, int64_t k);

}  // namespace fastcv
