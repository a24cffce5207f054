// The CUDA kernel of box_iou_rotated on the CPU, for ctypes.
#include <cstdint>

#include "box_iou_rotated/box_iou_rotated_kernel.cuh"

using namespace fastcv;

#define BOX_IOU_ROTATED(name, T)                                                                 \
  extern "C" void box_iou_rotated_##name(const T* boxes1, const T* boxes2, int64_t n, int64_t m, \
                                         T* iou) {                                               \
    cuda::launch_box_iou_rotated(boxes1, boxes2, iou, n, m, cudaStream_t{});                     \
  }
BOX_IOU_ROTATED(float64, double)
BOX_IOU_ROTATED(float32, float)
BOX_IOU_ROTATED(float16, __half)
BOX_IOU_ROTATED(bfloat16, __nv_bfloat16)
