#include "fast_nms/fast_nms_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                        \
  template void launch_fast_nms(const T*, const int64_t*, int64_t, int64_t, double, uint8_t*, \
                                cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
