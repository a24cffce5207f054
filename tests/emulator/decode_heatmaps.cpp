// The CUDA kernel of decode_heatmaps on the CPU, for ctypes.
#include <cstdint>

#include "decode_heatmaps/decode_heatmaps_kernel.cuh"

using namespace fastcv;

#define DECODE_HEATMAPS(name, T)                                                                   \
  extern "C" void decode_heatmaps_##name(const T* heatmaps, int64_t count, int64_t height,         \
                                         int64_t width, int64_t kind, T* points, T* scores) {      \
    cuda::launch_decode_heatmaps(heatmaps, count, static_cast<int32_t>(height),                    \
                                 static_cast<int32_t>(width), static_cast<PeakKind>(kind), points, \
                                 scores, cudaStream_t{});                                          \
  }
DECODE_HEATMAPS(float64, double)
DECODE_HEATMAPS(float32, float)
DECODE_HEATMAPS(float16, __half)
DECODE_HEATMAPS(bfloat16, __nv_bfloat16)
