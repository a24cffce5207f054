// The CUDA kernel of fast_nms on the CPU, for ctypes.
#include <cstdint>

#include "fast_nms/fast_nms_kernel.cuh"

using namespace fastcv;

#define FAST_NMS(name, T)                                                                 \
  extern "C" void fast_nms_##name(const T* boxes, const int64_t* order, int64_t classes,  \
                                  int64_t k, double iou_threshold, uint8_t* kept) {       \
    cuda::launch_fast_nms(boxes, order, classes, k, iou_threshold, kept, cudaStream_t{}); \
  }
FAST_NMS(float64, double)
FAST_NMS(float32, float)
FAST_NMS(float16, __half)
FAST_NMS(bfloat16, __nv_bfloat16)
