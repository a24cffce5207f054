#include "paste_masks/paste_masks_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                            \
  template void launch_paste_masks(const T*, const acc_t<T>*, int64_t, int64_t, int64_t, int64_t, \
                                   double, uint8_t*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
