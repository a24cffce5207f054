// vq_codes(vectors, codebook) -> (codes, counts, sums): the nearest code of each vector, and how
// many vectors each code is nearest to and their sum, which a codebook is updated from.
//
//   vectors    [N, D] float64 | float32 | float16 | bfloat16, any strides
//   codebook   [K, D] with K >= 1, vectors' dtype and device, any strides
//   codes      [N] int64: the row of codebook at the least distance; of equal ones the smaller.
//              -1 where there is none: see below
//   counts     [K] int64
//   sums       [K, D] float32 (float64 for float64), contiguous: the vectors of a code added up in
//              the order of n
//
// The least |x - e|^2 is the greatest score x . e - |e|^2 / 2. Both sums run from d = 0 up with
// fused multiply-adds in float32 (float64 for float64). So a score depends on its two rows alone,
// and equal rows of the codebook tie exactly. The portable instruction set of x86 does not fuse;
// all others and CUDA give the same bits.
//
// NaN: a score of NaN or minus infinity is never the greatest. So a code with NaN or infinities is
// nobody's. A vector whose greatest score is infinite or missing, as all are of one with NaN, has
// no nearest code: its code is -1, and it is in no count and no sum.
//
// Errors: shapes, dtypes, devices other than above; a codebook without rows.
// No gradient.
// Deterministic on both devices, and on the CPU for any number of threads.
// Memory: the output. On the CPU a copy of the codebook in float32 (float64) and about 256 KiB a
// thread; on CUDA 16 bytes a vector and what torch takes to sort the codes.
// Source: van den Oord et al., "Neural Discrete Representation Learning" (2017), equation 1 and
// appendix A.1.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

void check_vq_codes(const at::Tensor& vectors, const at::Tensor& codebook);

}  // namespace fastcv
