// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels. Between
// them it sorts the codes with torch's.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

// A matrix of any strides.
template <typename T>
struct StridedRows {
  const T* data;
  int64_t row, step;
};

// codes [count], as in vq_codes.h.
template <typename T>
void launch_vq_nearest(StridedRows<T> vectors, int64_t count, StridedRows<T> codebook, int64_t size,
                       int64_t d, int64_t* codes, cudaStream_t stream);

// order [count]: vectors by code, in their order; starts [size + 1]: where each code begins in it.
// counts [size], sums [size, d].
template <typename T>
void launch_vq_sums(StridedRows<T> vectors, const int64_t* order, const int64_t* starts,
                    int64_t size, int64_t d, int64_t* counts, acc_t<T>* sums, cudaStream_t stream);

}  // namespace fastcv::cuda
