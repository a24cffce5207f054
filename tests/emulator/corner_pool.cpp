// The CUDA kernels of corner_pool on the CPU, for ctypes.
#include <cstdint>

#include "corner_pool/corner_pool_kernel.cuh"

using namespace fastcv;

// lines: [outer, length, inner, backwards].
#define CORNER_POOL(name, T)                                                                       \
  extern "C" void corner_pool_##name(const int64_t* lines, const T* input, T* output) {            \
    const cuda::CornerPoolLines l{lines[0], lines[1], lines[2], lines[3] != 0};                    \
    cuda::launch_corner_pool(l, input, output, cudaStream_t{});                                    \
  }                                                                                                \
  extern "C" void corner_pool_backward_##name(const int64_t* lines, const T* grad, const T* input, \
                                              const T* output, T* grad_input) {                    \
    const cuda::CornerPoolLines l{lines[0], lines[1], lines[2], lines[3] != 0};                    \
    cuda::launch_corner_pool_backward(l, grad, input, output, grad_input, cudaStream_t{});         \
  }
CORNER_POOL(float64, double)
CORNER_POOL(float32, float)
CORNER_POOL(float16, __half)
CORNER_POOL(bfloat16, __nv_bfloat16)
