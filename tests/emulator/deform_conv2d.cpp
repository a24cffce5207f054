// The CUDA kernels of deform_conv2d and its gradients on the CPU, for ctypes.
#include <cstdint>

#include "deform_conv2d/deform_conv2d_backward_kernel.cuh"
#include "deform_conv2d/deform_conv2d_kernel.cuh"
#include "emulator/roi_abi.h"

using namespace fastcv;
using emulated::strided;

namespace {

// Of an image: strides of one image, one pixel, one channel.
template <typename T>
cuda::Pixels<T> pixels(T* data, const int64_t* strides) {
  return {data, strides[0], strides[1], strides[2]};
}

template <typename T>
cuda::DeformPositions<T> positions(const T* offset, const int64_t* offset_strides, const T* mask,
                                   const int64_t* mask_strides) {
  return {strided(offset, offset_strides), strided(mask, mask_strides)};
}

}  // namespace

#define DEFORM_CONV2D(name, T)                                                                    \
  extern "C" void deform_conv2d_##name(                                                           \
      const DeformShape* s, const T* input, const int64_t* input_strides, const T* offset,        \
      const int64_t* offset_strides, const T* mask, const int64_t* mask_strides, const T* weight, \
      const T* bias, int tf32, T* output, const int64_t* output_strides) {                        \
    cuda::launch_deform_conv2d<T>(                                                                \
        *s, pixels(input, input_strides), positions(offset, offset_strides, mask, mask_strides),  \
        weight, bias, tf32 != 0, strided(output, output_strides), cudaStream_t{});                \
  }                                                                                               \
  extern "C" void deform_samples_##name(const DeformShape* s, const cuda::DeformWindow* w,        \
                                        const T* offset, const int64_t* offset_strides,           \
                                        const T* mask, const int64_t* mask_strides,               \
                                        Sample<cuda::acc_t<T>>* samples) {                        \
    cuda::launch_deform_samples<T>(*s, *w, positions(offset, offset_strides, mask, mask_strides), \
                                   samples, cudaStream_t{});                                      \
  }                                                                                               \
  extern "C" void deform_columns_##name(const DeformShape* s, const cuda::DeformWindow* w,        \
                                        const Sample<cuda::acc_t<T>>* samples, const T* input,    \
                                        const int64_t* input_strides, T* columns) {               \
    cuda::launch_deform_columns<T>(*s, *w, samples, pixels(input, input_strides), columns,        \
                                   cudaStream_t{});                                               \
  }                                                                                               \
  extern "C" void deform_position_gradients_##name(                                               \
      const DeformShape* s, const cuda::DeformWindow* w, const T* offset,                         \
      const int64_t* offset_strides, const T* mask, const int64_t* mask_strides,                  \
      const Sample<cuda::acc_t<T>>* samples, const T* input, const int64_t* input_strides,        \
      const T* grad_columns, T* grad_offset, T* grad_mask) {                                      \
    cuda::launch_deform_position_gradients<T>(                                                    \
        *s, *w, positions(offset, offset_strides, mask, mask_strides), samples,                   \
        pixels(input, input_strides), grad_columns, grad_offset, grad_mask, cudaStream_t{});      \
  }                                                                                               \
  extern "C" void deform_scatter_##name(                                                          \
      const DeformShape* s, const cuda::DeformWindow* w, const Sample<cuda::acc_t<T>>* samples,   \
      const T* grad_columns, int ordered, cuda::acc_t<T>* grad_input, const int64_t* strides) {   \
    cuda::launch_deform_scatter<T>(*s, *w, samples, grad_columns, ordered != 0,                   \
                                   pixels(grad_input, strides), cudaStream_t{});                  \
  }
DEFORM_CONV2D(float64, double)
DEFORM_CONV2D(float32, float)
DEFORM_CONV2D(float16, __half)
DEFORM_CONV2D(bfloat16, __nv_bfloat16)
