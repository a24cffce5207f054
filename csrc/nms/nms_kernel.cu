#include "nms/nms_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                       \
  template int64_t nms_workspace_bytes<T>(int64_t);                                          \
  template void launch_nms(const T*, const int64_t*, const int64_t*, int64_t, double, void*, \
                           int64_t*, int64_t*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
