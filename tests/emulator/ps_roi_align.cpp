// The CUDA kernels of ps_roi_align and its gradient on the CPU, for ctypes.
#include <cstdint>

#include "emulator/roi_abi.h"
#include "ps_roi_align/ps_roi_align_kernel.cuh"

using namespace fastcv;
using emulated::extent;
using emulated::strided;

// shape is input's and grad_input's; strides are those of the tensor before them.
#define PS_ROI_ALIGN(name, T)                                                                      \
  extern "C" void ps_roi_align_##name(                                                             \
      const T* input, const int64_t* strides, const int64_t* shape, const acc_t<T>* rois,          \
      int64_t roi_count, double spatial_scale, int height, int width, int sampling_ratio,          \
      T* output, const int64_t* output_strides) {                                                  \
    const RoiAlignOptions options{spatial_scale, height, width, sampling_ratio, true};             \
    cuda::launch_ps_roi_align<T>(strided(input, strides), extent(shape), rois, roi_count, options, \
                                 strided(output, output_strides), cudaStream_t{});                 \
  }                                                                                                \
  extern "C" void ps_roi_align_backward_##name(                                                    \
      const T* grad, const int64_t* strides, const int64_t* shape, const acc_t<T>* rois,           \
      int64_t roi_count, double spatial_scale, int height, int width, int sampling_ratio,          \
      T* grad_input, const int64_t* grad_input_strides) {                                          \
    const RoiAlignOptions options{spatial_scale, height, width, sampling_ratio, true};             \
    cuda::launch_ps_roi_align_backward<T>(strided(grad, strides), rois, roi_count, options,        \
                                          strided(grad_input, grad_input_strides), extent(shape),  \
                                          cudaStream_t{});                                         \
  }
PS_ROI_ALIGN(float64, double)
PS_ROI_ALIGN(float32, float)
PS_ROI_ALIGN(float16, __half)
PS_ROI_ALIGN(bfloat16, __nv_bfloat16)
