// The CUDA kernels of ps_roi_pool and its gradient on the CPU, for ctypes.
#include <cstdint>

#include "emulator/roi_abi.h"
#include "ps_roi_pool/ps_roi_pool_kernel.cuh"

using namespace fastcv;
using emulated::extent;
using emulated::strided;

// shape is input's and grad_input's; strides are those of the tensor before them.
#define PS_ROI_POOL(name, T)                                                                       \
  extern "C" void ps_roi_pool_##name(const T* input, const int64_t* strides, const int64_t* shape, \
                                     const acc_t<T>* rois, int64_t roi_count,                      \
                                     double spatial_scale, int height, int width, T* output,       \
                                     const int64_t* output_strides) {                              \
    const cuda::PsRoiPoolOptions options{spatial_scale, height, width};                            \
    cuda::launch_ps_roi_pool<T>(strided(input, strides), extent(shape), rois, roi_count, options,  \
                                strided(output, output_strides), cudaStream_t{});                  \
  }                                                                                                \
  extern "C" void ps_roi_pool_backward_##name(                                                     \
      const T* grad, const int64_t* strides, const int64_t* shape, const acc_t<T>* rois,           \
      int64_t roi_count, double spatial_scale, int height, int width, T* grad_input,               \
      const int64_t* grad_input_strides) {                                                         \
    const cuda::PsRoiPoolOptions options{spatial_scale, height, width};                            \
    cuda::launch_ps_roi_pool_backward<T>(strided(grad, strides), rois, roi_count, options,         \
                                         strided(grad_input, grad_input_strides), extent(shape),   \
                                         cudaStream_t{});                                          \
  }
PS_ROI_POOL(float64, double)
PS_ROI_POOL(float32, float)
PS_ROI_POOL(float16, __half)
PS_ROI_POOL(bfloat16, __nv_bfloat16)
