// The CUDA kernel of identity on the CPU, for ctypes.
#include <cstdint>

#include "identity/identity_kernel.cuh"

using namespace fastcv;

#define IDENTITY(name, T)                                            \
  extern "C" void identity_##name(const T* src, T* dst, int64_t n) { \
    cuda::launch_identity(src, dst, n, cudaStream_t{});              \
  }
IDENTITY(float64, double)
IDENTITY(float32, float)
IDENTITY(float16, __half)
IDENTITY(bfloat16, __nv_bfloat16)
