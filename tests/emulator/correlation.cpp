// The CUDA kernels of correlation on the CPU, for ctypes.
#include <cstdint>

#include "correlation/correlation_kernel.cuh"

using namespace fastcv;

// sizes: [B, C, H, W, radius].
#define CORRELATION(name, T)                                                                    \
  extern "C" void correlation_##name(const int64_t* sizes, const T* a, const T* b, T* output) { \
    const CorrelationShape s{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]};                 \
    cuda::launch_correlation(s, a, b, output, cudaStream_t{});                                  \
  }                                                                                             \
  extern "C" void correlation_gradient_##name(const int64_t* sizes, bool turned, const T* grad, \
                                              const T* other, T* out) {                         \
    const CorrelationShape s{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]};                 \
    cuda::launch_correlation_gradient(s, grad, turned, other, out, cudaStream_t{});             \
  }
CORRELATION(float64, double)
CORRELATION(float32, float)
CORRELATION(float16, __half)
CORRELATION(bfloat16, __nv_bfloat16)
