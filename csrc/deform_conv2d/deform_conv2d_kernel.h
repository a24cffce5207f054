// What the CUDA launchers see of the kernels.
#pragma once

#include <cstdint>

#include "common/accumulate.h"
#include "common/cuda_types.h"
#include "common/roi_cuda.h"
#include "deform_conv2d/deform_sampling.h"
#include "deform_conv2d/deform_shape.h"

namespace fastcv::cuda {

// The images, dense NCHW or channels_last: channel c of pixel i of image n is at
// data[n * image_stride + i * pixel_stride + c * channel_stride].
template <typename T>
struct Pixels {
  T* data;
  int64_t image_stride, pixel_stride, channel_stride;
};

template <typename T>
struct DeformPositions {
  Strided<const T> offset;
  Strided<const T> mask;  // data null: 1 everywhere
};

// output = the convolution; every element is written. weight is [out_channels, taps, channels of a
// group], dense; bias may be null. `tf32`: float products may be rounded to TF32.
template <typename T>
void launch_deform_conv2d(const DeformShape& shape, Pixels<const T> input,
                          const DeformPositions<T>& positions, const T* weight, const T* bias,
                          bool tf32, Strided<T> output, cudaStream_t stream);

// Output pixels [first, first + count) of images [image, image + images), on which the backward
// kernels work. Its buffers are dense, position fastest:
//   samples   [images, offset groups, taps, count]
//   columns   [images, channels, taps, count]
struct DeformWindow {
  int64_t image, images;
  int first, count;
};

template <typename T>
void launch_deform_samples(const DeformShape& shape, const DeformWindow& window,
                           const DeformPositions<T>& positions, Sample<acc_t<T>>* samples,
                           cudaStream_t stream);

// columns = what the samples read.
template <typename T>
void launch_deform_columns(const DeformShape& shape, const DeformWindow& window,
                           const Sample<acc_t<T>>* samples, Pixels<const T> input, T* columns,
                           cudaStream_t stream);

// Gradients of the window's offsets and masks (dense NCHW; grad_mask may be null) from those of its
// columns.
template <typename T>
void launch_deform_position_gradients(const DeformShape& shape, const DeformWindow& window,
                                      const DeformPositions<T>& positions,
                                      const Sample<acc_t<T>>* samples, Pixels<const T> input,
                                      const T* grad_columns, T* grad_offset, T* grad_mask,
                                      cudaStream_t stream);

// Adds to the gradient of the window's images, of which the first is at grad_input.data. `ordered`:
// every sum in the order of taps and output pixels, without atomics.
template <typename T>
void launch_deform_scatter(const DeformShape& shape, const DeformWindow& window,
                           const Sample<acc_t<T>>* samples, const T* grad_columns, bool ordered,
                           Pixels<acc_t<T>> grad_input, cudaStream_t stream);

}  // namespace fastcv::cuda
