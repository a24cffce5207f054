// The CUDA kernels of encode_heatmaps on the CPU, for ctypes.
#include <cstdint>

#include "encode_heatmaps/encode_heatmaps_kernel.cuh"

using namespace fastcv;

#define ENCODE_HEATMAPS(name, T)                                                               \
  extern "C" void encode_heatmaps_##name(const T* points, int64_t count, int64_t height,       \
                                         int64_t width, double per_square, double peak,        \
                                         bool cauchy, T* heatmaps) {                           \
    using Acc = acc_t<T>;                                                                      \
    const cuda::Bump<T> bump{static_cast<Acc>(per_square), static_cast<Acc>(peak), cauchy};    \
    cuda::launch_encode_heatmaps(points, count, static_cast<int32_t>(height),                  \
                                 static_cast<int32_t>(width), bump, heatmaps, cudaStream_t{}); \
  }                                                                                            \
  extern "C" void encode_heatmaps_backward_##name(                                             \
      const T* grad, const T* points, int64_t count, int64_t height, int64_t width,            \
      double per_square, double peak, bool cauchy, T* by_points) {                             \
    using Acc = acc_t<T>;                                                                      \
    const cuda::Bump<T> bump{static_cast<Acc>(per_square), static_cast<Acc>(peak), cauchy};    \
    cuda::launch_encode_heatmaps_backward(grad, points, count, static_cast<int32_t>(height),   \
                                          static_cast<int32_t>(width), bump, by_points,        \
                                          cudaStream_t{});                                     \
  }
ENCODE_HEATMAPS(float64, double)
ENCODE_HEATMAPS(float32, float)
ENCODE_HEATMAPS(float16, __half)
ENCODE_HEATMAPS(bfloat16, __nv_bfloat16)
