// What the CUDA launchers see of the kernels. The matrix products between them are torch's.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "common/cuda/strided.h"
#include "common/host/accumulate.h"
#include "common/host/bilinear_sample.h"
#include "deform_conv2d/deform_shape.h"

namespace fastcv::cuda {

// Channel c of pixel i of image n is at data[n * image_stride + i * pixel_stride +
// c * channel_stride]. Fast where channel_stride is 1.
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

// Output pixels [first, first + count) of images [image, image + images), on which the kernels
// work. Their columns are what an output pixel multiplies with the weights, dense:
//   columns   [images, count, groups, taps, channels of a group]
struct DeformWindow {
  int64_t image, images;
  int first, count;
};

// columns = what the samples read of the window's images, of which the first is at input.data.
template <typename T>
void launch_deform_columns(const DeformShape& shape, const DeformWindow& window,
                           const DeformPositions<T>& positions, Pixels<const T> input, T* columns,
                           cudaStream_t stream);

// What the gradient of the columns gives. Null pointers: not needed.
template <typename T>
struct DeformGradients {
  T* columns;  // their gradient; what the samples read afterwards, if replace_columns
  bool replace_columns;
  Pixels<acc_t<T>> input;  // added to, atomically; of the window's images
  T* offset;               // dense NCHW, of all images
  T* mask;                 // likewise
};

// `input` is read for all but the gradient of the input.
template <typename T>
void launch_deform_gradients(const DeformShape& shape, const DeformWindow& window,
                             const DeformPositions<T>& positions, Pixels<const T> input,
                             const DeformGradients<T>& gradients, cudaStream_t stream);

// The gradient of the input without atomics: every sum in the order of taps and output pixels.
// `samples` has room for [images, offset groups, taps, count].
template <typename T>
void launch_deform_ordered_scatter(const DeformShape& shape, const DeformWindow& window,
                                   const DeformPositions<T>& positions, Sample<acc_t<T>>* samples,
                                   const T* grad_columns, Pixels<acc_t<T>> grad_input,
                                   cudaStream_t stream);

}  // namespace fastcv::cuda
