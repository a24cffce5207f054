#include "sgns_step/sgns_step_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                       \
  template void launch_sgns_round(int64_t, int64_t, int64_t, const int64_t*, const int64_t*, \
                                  const int64_t*, T*, int64_t, T*, int64_t, int64_t, T, T*,  \
                                  double*, cudaStream_t);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace fastcv::cuda
