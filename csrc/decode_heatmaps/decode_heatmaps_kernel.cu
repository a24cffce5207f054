#include "decode_heatmaps/decode_heatmaps_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                        \
  template void launch_decode_heatmaps(const T*, int64_t, int32_t, int32_t, PeakKind, T*, T*, \
                                       cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
