#include "cosine_topk/cosine_topk_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                        \
  template void launch_merge_best(const T*, int64_t, int64_t, int64_t, int64_t, T*, int64_t*, \
                                  cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
#undef INSTANTIATE

}  // namespace fastcv::cuda
