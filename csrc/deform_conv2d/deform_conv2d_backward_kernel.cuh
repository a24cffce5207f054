// What the gradient of the columns gives to offsets, masks and image.
#pragma once

#include "deform_conv2d/deform_device.cuh"

namespace fastcv::cuda {
namespace deform {

// Four floats at once where the hardware can.
template <int size, typename Acc>
__device__ __forceinline__ void add_atomically(Acc* to, const Acc (&values)[size], int64_t stride) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if constexpr (size == 4 && sizeof(Acc) == 4) {
    atomicAdd(reinterpret_cast<float4*>(to),
              make_float4(values[0], values[1], values[2], values[3]));
  } else
#endif
  {
#pragma unroll
    for (int i = 0; i < size; ++i) atomicAdd(to + i * stride, values[i]);
  }
}

// A thread's channels of a tap: what they add to the input's gradient, and to the products of the
// columns' gradient with the four corners.
template <typename T, int pack>
__device__ __forceinline__ void add_tap(const DeformShape& s, const Place& place,
                                        const Pixels<const T>& input,
                                        const DeformGradients<T>& gradients, int lanes, int j,
                                        const DevicePosition<acc_t<T>>& at, acc_t<T> (&dot)[4]) {
  using Acc = acc_t<T>;
  const int wide = static_cast<int>(s.offset_group_channels());
  const bool reads = gradients.replace_columns || gradients.offset != nullptr;
  const Sample<Acc> sample = make_sample(at.y, at.x, s.width, at.mask);
  const int pixel_stride = static_cast<int>(input.pixel_stride);
  const int sum_stride = static_cast<int>(gradients.input.pixel_stride);
  for (int c = place.lane * pack; c < wide; c += lanes * pack) {
    const int channel = place.group * wide + c;
    T* column = gradients.columns + int64_t{place.row} * columns_of_pixel(s) +
                column_of(s, channel, place.tap(s, j));
    Acc value[pack] = {};
    if (!sample.outside()) {
      const Pack<T, pack> grad = load_pack<pack>(column);
      if (reads) {
        const T* image =
            input.data + int64_t{place.image} * input.image_stride + channel * input.channel_stride;
        Pack<T, pack> corner[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          corner[k] = load_pack<pack>(image + int64_t{sample.pixel[k]} * pixel_stride);
        }
#pragma unroll
        for (int k = 3; k >= 0; --k) {
#pragma unroll
          for (int i = 0; i < pack; ++i) {
            const Acc x = widen(corner[k].item[i]);
            dot[k] = multiply_add(widen(grad.item[i]), x, dot[k]);
            value[i] = multiply_add(sample.weight[k], x, value[i]);
          }
        }
      }
      if (gradients.input.data != nullptr) {
        Acc* sums = gradients.input.data + int64_t{place.image} * gradients.input.image_stride +
                    channel * gradients.input.channel_stride;
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          if (sample.weight[k] == 0) continue;
          Acc part[pack];
#pragma unroll
          for (int i = 0; i < pack; ++i) part[i] = sample.weight[k] * widen(grad.item[i]);
          add_atomically(sums + int64_t{sample.pixel[k]} * sum_stride, part,
                         gradients.input.channel_stride);
        }
      }
    }
    if (gradients.replace_columns) {
      Pack<T, pack> out;
#pragma unroll
      for (int i = 0; i < pack; ++i) out.item[i] = narrow<T>(value[i]);
      *reinterpret_cast<Pack<T, pack>*>(column) = out;
    }
  }
}

template <typename T, int pack>
__global__ void __launch_bounds__(threads)
    gradients_kernel(DeformShape s, DeformWindow window, DeformPositions<T> positions,
                     Pixels<const T> input, DeformGradients<T> gradients, int lanes) {
  const Place place(s, window, lanes);
  const PlacePositions<T> position(s, window, positions, place);
  for (int j = 0; j < s.kernel_width; ++j) {
    acc_t<T> dot[4] = {};
    DevicePosition<acc_t<T>> at = {};
    if (place.exists) {
      at = position(s, j);
      add_tap<T, pack>(s, place, input, gradients, lanes, j, at, dot);
    }
    if (gradients.offset == nullptr) continue;
    for (int step = 1; step < lanes; step *= 2) {
#pragma unroll
      for (int k = 0; k < 4; ++k) dot[k] += __shfl_xor_sync(0xffffffffu, dot[k], step);
    }
    if (!place.exists || place.lane != 0) continue;
    const auto g = sample_gradient(at.y, at.x, dot, at.mask);
    const int64_t n = window.image + place.image;
    const int64_t channel = (n * s.offset_groups + place.group) * s.taps() + place.tap(s, j);
    const int64_t out = int64_t{place.y} * s.out_width + place.x;
    gradients.offset[2 * channel * s.out_pixels() + out] = narrow<T>(g.y);
    gradients.offset[(2 * channel + 1) * s.out_pixels() + out] = narrow<T>(g.x);
    if (gradients.mask != nullptr) {
      gradients.mask[channel * s.out_pixels() + out] = narrow<T>(g.mask);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(threads)
    samples_kernel(DeformShape s, DeformWindow window, DeformPositions<T> positions,
                   Sample<acc_t<T>>* samples) {
  const Place place(s, window, 1);
  if (!place.exists) return;
  const PlacePositions<T> position(s, window, positions, place);
  const int64_t pixel = place.row % window.count;
  for (int j = 0; j < s.kernel_width; ++j) {
    const auto at = position(s, j);
    const int64_t channel = (int64_t{place.image} * s.offset_groups + place.group) * s.taps();
    samples[(channel + place.tap(s, j)) * window.count + pixel] =
        make_sample(at.y, at.x, s.width, at.mask);
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
  const int64_t image = blockIdx.x / blocks;
  const int c = static_cast<int>(blockIdx.x % blocks * 32 + threadIdx.x % 32);
  const int owner = threadIdx.x / 32;
  if (c >= s.channels) return;
  const Sample<acc_t<T>>* sample =
      samples + (image * s.offset_groups + c / s.offset_group_channels()) * s.taps() * window.count;
  acc_t<T>* pixels =
      grad_input.data + image * grad_input.image_stride + c * grad_input.channel_stride;
  for (int tap = 0; tap < s.taps(); ++tap) {
    const T* grad =
        grad_columns + image * window.count * columns_of_pixel(s) + column_of(s, c, tap);
    for (int p = 0; p < window.count; ++p, ++sample, grad += columns_of_pixel(s)) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const int32_t pixel = sample->pixel[k];
        if (pixel < 0 || pixel % owners != owner || sample->weight[k] == 0) continue;
        acc_t<T>& sum = pixels[pixel * grad_input.pixel_stride];
        sum = multiply_add(sample->weight[k], acc_t<T>(widen(*grad)), sum);
      }
    }
  }
}

}  // namespace deform

template <typename T>
void launch_deform_gradients(const DeformShape& shape, const DeformWindow& window,
                             const DeformPositions<T>& positions, Pixels<const T> input,
                             const DeformGradients<T>& gradients, cudaStream_t stream) {
  const auto run = [&]<int pack>() {
    const int lanes = deform::lanes_for(shape, pack);
    launch(deform::gradients_kernel<T, pack>, deform::grid_for(shape, window, lanes),
           dim3(deform::threads), 0, stream, shape, window, positions, input, gradients, lanes);
  };
  // Sums of 16 bytes a thread: a warp's are one run of memory, and so are its columns.
  constexpr int wide = 16 / sizeof(acc_t<T>);
  if (deform::packs<wide>(shape) && (input.data == nullptr || deform::packs<wide>(input)) &&
      (gradients.input.data == nullptr || deform::packs<wide>(gradients.input))) {
    run.template operator()<wide>();
  } else {
    run.template operator()<1>();
  }
}

template <typename T>
void launch_deform_ordered_scatter(const DeformShape& shape, const DeformWindow& window,
                                   const DeformPositions<T>& positions, Sample<acc_t<T>>* samples,
                                   const T* grad_columns, Pixels<acc_t<T>> grad_input,
                                   cudaStream_t stream) {
  launch(deform::samples_kernel<T>, deform::grid_for(shape, window, 1), dim3(deform::threads), 0,
         stream, shape, window, positions, samples);
  const int64_t blocks = window.images * blocks_for(shape.channels, 32);
  launch(deform::ordered_scatter_kernel<T>, dim3(static_cast<unsigned>(blocks)),
         dim3(32 * deform::owners), 0, stream, shape, window, samples, grad_columns, grad_input);
}

}  // namespace fastcv::cuda
