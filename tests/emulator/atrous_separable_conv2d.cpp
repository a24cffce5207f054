// The CUDA kernel of atrous_separable_conv2d on the CPU, for ctypes.
#include <cstdint>

#include "atrous_separable_conv2d/atrous_separable_conv2d_kernel.cuh"
#include "emulator/roi_abi.h"

using namespace fastcv;
using emulated::strided;

// sizes: input [N, C, H, W], output [D, H', W'], kernel, stride, padding, dilation.
#define SEPARABLE(name, T)                                                                      \
  extern "C" void separable_##name(const T* input, const int64_t* strides, const T* depthwise,  \
                                   const T* depthwise_bias, const T* pointwise,                 \
                                   const T* pointwise_bias, T* output,                          \
                                   const int64_t* output_strides, const int64_t* n, int relu) { \
    const SeparableShape shape{n[0], n[1], n[2],  n[3],  n[4],  n[5],  n[6],  n[7],             \
                               n[8], n[9], n[10], n[11], n[12], n[13], n[14], relu != 0};       \
    cuda::launch_separable<T>(strided(input, strides), depthwise, depthwise_bias, pointwise,    \
                              pointwise_bias, strided(output, output_strides), shape,           \
                              cudaStream_t{});                                                  \
  }
SEPARABLE(float64, double)
SEPARABLE(float32, float)
SEPARABLE(float16, __half)
SEPARABLE(bfloat16, __nv_bfloat16)
