// The backward kernels on one window: samples, columns, and what the columns' gradient gives to
// offsets, masks and image. The matrix products between them are the launcher's.
#pragma once

#include "common/convert.cuh"
#include "common/launch.cuh"
#include "deform_conv2d/deform_device.cuh"

namespace fastcv::cuda {
namespace deform {

constexpr int window_threads = 256;
constexpr int channels_of_thread = 8;

template <typename T>
__global__ void __launch_bounds__(window_threads)
    samples_kernel(DeformShape s, DeformWindow window, DeformPositions<T> positions,
                   Sample<acc_t<T>>* samples, int64_t all) {
  const int64_t i = int64_t{blockIdx.x} * window_threads + threadIdx.x;
  if (i >= all) return;
  const int pixel = window.first + static_cast<int>(i % window.count);
  const int64_t rest = i / window.count;
  const int tap = static_cast<int>(rest % s.taps());
  const int group = static_cast<int>(rest / s.taps() % s.offset_groups);
  const int64_t image = window.image + rest / s.taps() / s.offset_groups;
  const auto at =
      position_of(s, positions, image, pixel / s.out_width, pixel % s.out_width, group, tap);
  samples[i] = make_sample(at.y, at.x, s.width, at.mask);
}

// Sample `at` = (image, tap, output pixel) of the window for some channels: what a thread of the
// kernels below works on. They run over [images, channel blocks, taps, count].
struct Place {
  int64_t image, channel, channel_end, tap;
  int pixel;

  __device__ Place(const DeformShape& s, const DeformWindow& w, int64_t i) {
    pixel = static_cast<int>(i % w.count);
    tap = i / w.count % s.taps();
    const int64_t blocks = blocks_for(s.channels, channels_of_thread);
    const int64_t rest = i / w.count / s.taps();
    image = rest / blocks, channel = rest % blocks * channels_of_thread;
    channel_end =
        channel + channels_of_thread < s.channels ? channel + channels_of_thread : s.channels;
  }

  __device__ int64_t sample(const DeformShape& s, const DeformWindow& w, int64_t c) const {
    const int64_t group = image * s.offset_groups + c / s.offset_group_channels();
    return (group * s.taps() + tap) * w.count + pixel;
  }
  __device__ int64_t column(const DeformShape& s, const DeformWindow& w, int64_t c) const {
    return ((image * s.channels + c) * s.taps() + tap) * w.count + pixel;
  }
};

template <typename T>
__global__ void __launch_bounds__(window_threads)
    columns_kernel(DeformShape s, DeformWindow window, const Sample<acc_t<T>>* samples,
                   Pixels<const T> input, T* columns, int64_t all) {
  const int64_t i = int64_t{blockIdx.x} * window_threads + threadIdx.x;
  if (i >= all) return;
  const Place place(s, window, i);
  const T* image = input.data + (window.image + place.image) * input.image_stride;
  int64_t last = -1;
  Sample<acc_t<T>> sample;
  for (int64_t c = place.channel; c < place.channel_end; ++c) {
    const int64_t at = place.sample(s, window, c);
    if (at != last) sample = samples[at], last = at;
    columns[place.column(s, window, c)] =
        narrow<T>(read_sample(sample, image + c * input.channel_stride, input.pixel_stride));
  }
}

template <typename T>
__global__ void __launch_bounds__(window_threads)
    position_gradients_kernel(DeformShape s, DeformWindow window, DeformPositions<T> positions,
                              const Sample<acc_t<T>>* samples, Pixels<const T> input,
                              const T* grad_columns, T* grad_offset, T* grad_mask, int64_t all) {
  using Acc = acc_t<T>;
  const int64_t i = int64_t{blockIdx.x} * window_threads + threadIdx.x;
  if (i >= all) return;
  const int pixel = static_cast<int>(i % window.count);
  const int64_t rest = i / window.count;
  const int tap = static_cast<int>(rest % s.taps());
  const int group = static_cast<int>(rest / s.taps() % s.offset_groups);
  const int64_t in_window = rest / s.taps() / s.offset_groups, n = window.image + in_window;

  const Sample<Acc> sample = samples[i];
  Acc dot[4] = {};
  if (!sample.outside()) {
    const int64_t wide = s.offset_group_channels();
    const int64_t step = int64_t{s.taps()} * window.count;
    const T* grad = grad_columns + (in_window * s.channels + group * wide) * step +
                    int64_t{tap} * window.count + pixel;
    const T* image = input.data + n * input.image_stride + group * wide * input.channel_stride;
    for (int64_t c = 0; c < wide; ++c, grad += step, image += input.channel_stride) {
      const Acc g = widen(*grad);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        dot[k] = multiply_add(g, widen(image[sample.pixel[k] * input.pixel_stride]), dot[k]);
      }
    }
  }
  const int out = window.first + pixel;
  const auto at = position_of(s, positions, n, out / s.out_width, out % s.out_width, group, tap);
  const auto g = sample_gradient(at.y, at.x, dot, at.mask);
  const int64_t channel = (n * s.offset_groups + group) * s.taps() + tap;
  grad_offset[2 * channel * s.out_pixels() + out] = narrow<T>(g.y);
  grad_offset[(2 * channel + 1) * s.out_pixels() + out] = narrow<T>(g.x);
  if (grad_mask != nullptr) grad_mask[channel * s.out_pixels() + out] = narrow<T>(g.mask);
}

template <typename T>
__global__ void __launch_bounds__(window_threads)
    scatter_kernel(DeformShape s, DeformWindow window, const Sample<acc_t<T>>* samples,
                   const T* grad_columns, Pixels<acc_t<T>> grad_input, int64_t all) {
  const int64_t i = int64_t{blockIdx.x} * window_threads + threadIdx.x;
  if (i >= all) return;
  const Place place(s, window, i);
  acc_t<T>* image = grad_input.data + place.image * grad_input.image_stride;
  int64_t last = -1;
  Sample<acc_t<T>> sample;
  for (int64_t c = place.channel; c < place.channel_end; ++c) {
    const int64_t at = place.sample(s, window, c);
    if (at != last) sample = samples[at], last = at;
    const acc_t<T> g = widen(grad_columns[place.column(s, window, c)]);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (sample.weight[k] == 0) continue;
      atomicAdd(image + sample.pixel[k] * grad_input.pixel_stride + c * grad_input.channel_stride,
                sample.weight[k] * g);
    }
  }
}

// A thread owns, of one channel, the pixels whose number ends in its warp's: it goes through all
// samples and adds where they are its own.
constexpr int owners = 32;

template <typename T>
__global__ void __launch_bounds__(32 * owners)
    ordered_scatter_kernel(DeformShape s, DeformWindow window, const Sample<acc_t<T>>* samples,
                           const T* grad_columns, Pixels<acc_t<T>> grad_input) {
  const int64_t blocks = blocks_for(s.channels, 32);
  const int64_t image = blockIdx.x / blocks, c = blockIdx.x % blocks * 32 + threadIdx.x % 32;
  const int owner = threadIdx.x / 32;
  if (c >= s.channels) return;
  const int64_t of_group = int64_t{s.taps()} * window.count;
  const Sample<acc_t<T>>* sample =
      samples + (image * s.offset_groups + c / s.offset_group_channels()) * of_group;
  const T* grad = grad_columns + (image * s.channels + c) * of_group;
  acc_t<T>* pixels =
      grad_input.data + image * grad_input.image_stride + c * grad_input.channel_stride;
  for (int64_t i = 0; i < of_group; ++i, ++sample) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int32_t pixel = sample->pixel[k];
      if (pixel < 0 || pixel % owners != owner || sample->weight[k] == 0) continue;
      acc_t<T>& sum = pixels[pixel * grad_input.pixel_stride];
      sum = multiply_add(sample->weight[k], acc_t<T>(widen(grad[i])), sum);
    }
  }
}

// Of threads that each take one of `all`.
inline dim3 window_grid(int64_t all) {
  return dim3(static_cast<unsigned>(blocks_for(all, window_threads)));
}

inline int64_t places(const DeformShape& s, const DeformWindow& w) {
  return w.images * blocks_for(s.channels, channels_of_thread) * s.taps() * w.count;
}

}  // namespace deform

template <typename T>
void launch_deform_samples(const DeformShape& shape, const DeformWindow& window,
                           const DeformPositions<T>& positions, Sample<acc_t<T>>* samples,
                           cudaStream_t stream) {
  const int64_t all = window.images * shape.offset_groups * shape.taps() * window.count;
  launch(deform::samples_kernel<T>, deform::window_grid(all), dim3(deform::window_threads), 0,
         stream, shape, window, positions, samples, all);
}

template <typename T>
void launch_deform_columns(const DeformShape& shape, const DeformWindow& window,
                           const Sample<acc_t<T>>* samples, Pixels<const T> input, T* columns,
                           cudaStream_t stream) {
  const int64_t all = deform::places(shape, window);
  launch(deform::columns_kernel<T>, deform::window_grid(all), dim3(deform::window_threads), 0,
         stream, shape, window, samples, input, columns, all);
}

template <typename T>
void launch_deform_position_gradients(const DeformShape& shape, const DeformWindow& window,
                                      const DeformPositions<T>& positions,
                                      const Sample<acc_t<T>>* samples, Pixels<const T> input,
                                      const T* grad_columns, T* grad_offset, T* grad_mask,
                                      cudaStream_t stream) {
  const int64_t all = window.images * shape.offset_groups * shape.taps() * window.count;
  launch(deform::position_gradients_kernel<T>, deform::window_grid(all),
         dim3(deform::window_threads), 0, stream, shape, window, positions, samples, input,
         grad_columns, grad_offset, grad_mask, all);
}

template <typename T>
void launch_deform_scatter(const DeformShape& shape, const DeformWindow& window,
                           const Sample<acc_t<T>>* samples, const T* grad_columns, bool ordered,
                           Pixels<acc_t<T>> grad_input, cudaStream_t stream) {
  if (ordered) {
    const int64_t blocks = window.images * blocks_for(shape.channels, 32);
    launch(deform::ordered_scatter_kernel<T>, dim3(static_cast<unsigned>(blocks)),
           dim3(32 * deform::owners), 0, stream, shape, window, samples, grad_columns, grad_input);
    return;
  }
  const int64_t all = deform::places(shape, window);
  launch(deform::scatter_kernel<T>, deform::window_grid(all), dim3(deform::window_threads), 0,
         stream, shape, window, samples, grad_columns, grad_input, all);
}

}  // namespace fastcv::cuda
