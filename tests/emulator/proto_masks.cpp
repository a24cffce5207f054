// The CUDA kernels of proto_masks on the CPU, for ctypes.
#include <cstdint>

#include "proto_masks/proto_masks_kernel.cuh"

using namespace fastcv;

#define PROTO_MASKS(name, T)                                                                     \
  extern "C" void proto_masks_##name(                                                            \
      const T* prototypes, const T* coefficients, const acc_t<T>* boxes, int64_t count,          \
      int64_t prototype_count, int64_t rows, int64_t columns, int64_t height, int64_t width,     \
      double threshold, acc_t<T>* samples, uint8_t* masks) {                                     \
    cuda::launch_proto_masks(prototypes, coefficients, boxes, count, prototype_count, rows,      \
                             columns, height, width, threshold, samples, masks, cudaStream_t{}); \
  }
PROTO_MASKS(float64, double)
PROTO_MASKS(float32, float)
PROTO_MASKS(float16, __half)
PROTO_MASKS(bfloat16, __nv_bfloat16)
