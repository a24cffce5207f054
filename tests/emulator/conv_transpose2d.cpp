// The CUDA kernels of conv_transpose2d on the CPU, for ctypes.
#include <cstdint>

#include "conv_transpose2d/conv_transpose2d_kernel.cuh"
#include "emulator/roi_abi.h"

using namespace fastcv;
using emulated::strided;

// sizes: input [N, C, H, W], output [D, H', W'], groups, kernel, stride, padding.
static TransposedShape shape_of(const int64_t* n) {
  return {n[0], n[1], n[2],  n[3],  n[4],  n[5],  n[6],  n[7],
          n[8], n[9], n[10], n[11], n[12], n[13], false, false};
}

#define CONV_TRANSPOSE2D(name, T)                                                                 \
  extern "C" void no_overlap_##name(const T* input, const int64_t* strides, const T* weight,      \
                                    const T* bias, T* output, const int64_t* output_strides,      \
                                    const int64_t* sizes, int) {                                  \
    cuda::launch_no_overlap<T>(strided(input, strides), weight, bias,                             \
                               strided(output, output_strides), shape_of(sizes), cudaStream_t{}); \
  }                                                                                               \
  extern "C" void depthwise_##name(const T* input, const int64_t* strides, const T* weight,       \
                                   const T* bias, T* output, const int64_t* output_strides,       \
                                   const int64_t* sizes, int channels_last) {                     \
    cuda::launch_depthwise_transposed<T>(strided(input, strides), weight, bias,                   \
                                         strided(output, output_strides), shape_of(sizes),        \
                                         channels_last != 0, cudaStream_t{});                     \
  }
CONV_TRANSPOSE2D(float64, double)
CONV_TRANSPOSE2D(float32, float)
CONV_TRANSPOSE2D(float16, __half)
CONV_TRANSPOSE2D(bfloat16, __nv_bfloat16)
