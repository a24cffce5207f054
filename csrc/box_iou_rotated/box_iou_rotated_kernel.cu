#include "box_iou_rotated/box_iou_rotated_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T) \
  template void launch_box_iou_rotated(const T*, const T*, T*, int64_t, int64_t, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(__half)
INSTANTIATE(__nv_bfloat16)
#undef INSTANTIATE

}  // namespace fastcv::cuda
