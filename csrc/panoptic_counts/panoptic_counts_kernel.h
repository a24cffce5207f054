// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernel.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

inline constexpr unsigned long long no_pair = ~0ull;  // of a free slot
inline constexpr int table_is_full = 1, id_is_refused = 2;

// A hash table of 2^bits slots for each image: `keys` [images, 2^bits], no_pair at first, and
// `counts`, zeros at first. `status`, 0 at first, gets the two bits above; the table is of no use
// then. A pair is looked for in `probes` slots.
template <typename I>
void launch_panoptic_counts(const I* predicted, const I* target, int64_t images, int64_t pixels,
                            int bits, int64_t probes, unsigned long long* keys,
                            unsigned long long* counts, int* status, cudaStream_t stream);

}  // namespace fastcv::cuda
