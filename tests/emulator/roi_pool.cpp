// The CUDA kernels of roi_pool and its gradient on the CPU, for ctypes.
#include <cstdint>

#include "emulator/roi_abi.h"
#include "roi_pool/roi_pool_kernel.cuh"

using namespace fastcv;
using emulated::extent;
using emulated::strided;

// shape is input's and grad_input's; strides are those of the tensor before them; argmax has the
// strides of output and grad.
#define ROI_POOL(name, T)                                                                          \
  extern "C" void roi_pool_##name(const T* input, const int64_t* strides, const int64_t* shape,    \
                                  const acc_t<T>* rois, int64_t roi_count, double spatial_scale,   \
                                  int height, int width, T* output, const int64_t* output_strides, \
                                  int32_t* argmax) {                                               \
    const cuda::RoiPoolOptions options{spatial_scale, height, width};                              \
    cuda::launch_roi_pool<T>(strided(input, strides), extent(shape), rois, roi_count, options,     \
                             strided(output, output_strides), argmax, cudaStream_t{});             \
  }                                                                                                \
  extern "C" void roi_pool_backward_##name(                                                        \
      const T* grad, const int64_t* strides, const int64_t* shape, const acc_t<T>* rois,           \
      int64_t roi_count, double spatial_scale, int height, int width, T* grad_input,               \
      const int64_t* grad_input_strides, const int32_t* argmax) {                                  \
    const cuda::RoiPoolOptions options{spatial_scale, height, width};                              \
    cuda::launch_roi_pool_backward<T>(strided(grad, strides), strided(argmax, strides), rois,      \
                                      roi_count, options, strided(grad_input, grad_input_strides), \
                                      extent(shape), cudaStream_t{});                              \
  }
ROI_POOL(float64, double)
ROI_POOL(float32, float)
ROI_POOL(float16, __half)
ROI_POOL(bfloat16, __nv_bfloat16)
