// The CUDA kernels of flow_warp on the CPU, for ctypes.
#include <cstdint>

#include "flow_warp/flow_warp_kernel.cuh"

using namespace fastcv;

namespace {

// sizes: [B, C, H, W, H', W', border, align_corners].
WarpShape shape_of(const int64_t* sizes) {
  const auto size = [&](int i) { return static_cast<int>(sizes[i]); };
  return {sizes[0], sizes[1], size(2), size(3), size(4), size(5), sizes[6] != 0, sizes[7] != 0};
}

template <typename T>
cuda::Strided<T> dense(T* data, const WarpShape& s, int64_t pixels, int64_t width, bool last) {
  if (last) return {data, s.channels * pixels, 1, width * s.channels, s.channels};
  return {data, s.channels * pixels, pixels, width, 1};
}

}  // namespace

#define FLOW_WARP(name, T)                                                                       \
  extern "C" void flow_warp_##name(const int64_t* sizes, bool last, const T* input,              \
                                   const acc_t<T>* flow, T* output) {                            \
    const WarpShape s = shape_of(sizes);                                                         \
    cuda::launch_flow_warp(s, dense(input, s, s.pixels(), s.width, last), flow,                  \
                           dense(output, s, s.out_pixels(), s.out_width, last), cudaStream_t{}); \
  }                                                                                              \
  extern "C" void flow_warp_backward_##name(const int64_t* sizes, bool last, bool ordered,       \
                                            const T* grad, const T* input, const acc_t<T>* flow, \
                                            acc_t<T>* grad_input, acc_t<T>* grad_flow) {         \
    const WarpShape s = shape_of(sizes);                                                         \
    const auto by_output = dense(grad, s, s.out_pixels(), s.out_width, last);                    \
    const auto from = dense(input, s, s.pixels(), s.width, last);                                \
    const auto to = dense(grad_input, s, s.pixels(), s.width, last);                             \
    if (ordered) {                                                                               \
      cuda::launch_flow_warp_ordered_scatter(s, by_output, flow, to, cudaStream_t{});            \
    } else {                                                                                     \
      cuda::launch_flow_warp_scatter(s, by_output, flow, to, cudaStream_t{});                    \
    }                                                                                            \
    cuda::launch_flow_warp_flow_gradient(s, by_output, from, flow, grad_flow, cudaStream_t{});   \
  }
FLOW_WARP(float64, double)
FLOW_WARP(float32, float)
FLOW_WARP(float16, __half)
FLOW_WARP(bfloat16, __nv_bfloat16)
