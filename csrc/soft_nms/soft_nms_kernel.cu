#include "soft_nms/soft_nms_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T, Acc)                                                                  \
  template int64_t soft_nms_workspace_bytes<T>(int64_t);                                     \
  template void launch_soft_nms(const T*, const T*, const int64_t*, const int64_t*, int64_t, \
                                Decay<Acc>, void*, Acc*, int64_t*, cudaStream_t);
INSTANTIATE(double, double)
INSTANTIATE(float, float)
INSTANTIATE(__half, float)
INSTANTIATE(__nv_bfloat16, float)
#undef INSTANTIATE

}  // namespace fastcv::cuda
