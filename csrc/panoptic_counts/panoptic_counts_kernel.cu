#include "panoptic_counts/panoptic_counts_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(I)                                                                     \
  template void launch_panoptic_counts(const I*, const I*, int64_t, int64_t, int, int64_t, \
                                       unsigned long long*, unsigned long long*, int*,     \
                                       cudaStream_t);
INSTANTIATE(int32_t)
INSTANTIATE(int64_t)
#undef INSTANTIATE

}  // namespace fastcv::cuda
