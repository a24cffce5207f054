#include "proto_masks/proto_masks_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                             \
  template void launch_proto_masks(const T*, const T*, const acc_t<T>*, int64_t, int64_t, int64_t, \
                                   int64_t, int64_t, int64_t, double, acc_t<T>*, uint8_t*,         \
                                   cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
