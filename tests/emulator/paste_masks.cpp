// The CUDA kernel of paste_masks on the CPU, for ctypes.
#include <cstdint>

#include "paste_masks/paste_masks_kernel.cuh"

using namespace fastcv;

#define PASTE_MASKS(name, T)                                                               \
  extern "C" void paste_masks_##name(const T* masks, const acc_t<T>* boxes, int64_t count, \
                                     int64_t side, int64_t height, int64_t width,          \
                                     double threshold, uint8_t* pasted) {                  \
    cuda::launch_paste_masks(masks, boxes, count, side, height, width, threshold, pasted,  \
                             cudaStream_t{});                                              \
  }
PASTE_MASKS(float64, double)
PASTE_MASKS(float32, float)
PASTE_MASKS(float16, __half)
PASTE_MASKS(bfloat16, __nv_bfloat16)
