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

#define DEFORM_CONV2D(name, T)                                                                     \
  extern "C" void deform_columns_##name(const DeformShape* s, const cuda::DeformWindow* w,         \
                                        const T* input, const int64_t* input_strides,              \
                                        const T* offset, const int64_t* offset_strides,            \
                                        const T* mask, const int64_t* mask_strides, T* columns) {  \
    cuda::launch_deform_columns<T>(*s, *w, positions(offset, offset_strides, mask, mask_strides),  \
                                   pixels(input, input_strides), columns, cudaStream_t{});         \
  }                                                                                                \
  extern "C" void deform_gradients_##name(                                                         \
      const DeformShape* s, const cuda::DeformWindow* w, const T* input,                           \
      const int64_t* input_strides, const T* offset, const int64_t* offset_strides, const T* mask, \
      const int64_t* mask_strides, T* columns, int replace, acc_t<T>* sums,                        \
      const int64_t* sum_strides, T* grad_offset, T* grad_mask) {                                  \
    cuda::launch_deform_gradients<T>(                                                              \
        *s, *w, positions(offset, offset_strides, mask, mask_strides),                             \
        pixels(input, input_strides),                                                              \
        {columns, replace != 0, pixels(sums, sum_strides), grad_offset, grad_mask},                \
        cudaStream_t{});                                                                           \
  }                                                                                                \
  extern "C" void deform_ordered_scatter_##name(                                                   \
      const DeformShape* s, const cuda::DeformWindow* w, const T* offset,                          \
      const int64_t* offset_strides, const T* mask, const int64_t* mask_strides,                   \
      Sample<acc_t<T>>* samples, const T* columns, acc_t<T>* sums, const int64_t* sum_strides) {   \
    cuda::launch_deform_ordered_scatter<T>(                                                        \
        *s, *w, positions(offset, offset_strides, mask, mask_strides), samples, columns,           \
        pixels(sums, sum_strides), cudaStream_t{});                                                \
  }
DEFORM_CONV2D(float64, double)
DEFORM_CONV2D(float32, float)
DEFORM_CONV2D(float16, __half)
DEFORM_CONV2D(bfloat16, __nv_bfloat16)
