#include "encode_heatmaps/encode_heatmaps_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                         \
  template void launch_encode_heatmaps(const T*, int64_t, int32_t, int32_t, Bump<T>, T*,       \
                                       cudaStream_t);                                          \
  template void launch_encode_heatmaps_backward(const T*, const T*, int64_t, int32_t, int32_t, \
                                                Bump<T>, T*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
