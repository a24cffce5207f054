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

template <typename T>
struct TapState {
  Sample<acc_t<T>> sample;
  acc_t<T> dot[4];  // of the columns' gradient with the corners, over all channels
};

// A thread's channels of a tap: what they add to the input's gradient and to the dots.
template <typename T, int pack>
__device__ __forceinline__ void add_pack(const Sample<acc_t<T>>& sample, const T* image,
                                         int pixel_stride, T* column,
                                         const DeformGradients<T>& gradients, acc_t<T>* sums,
                                         acc_t<T> (&dot)[4]) {
  using Acc = acc_t<T>;
  Acc value[pack] = {};
  if (!sample.outside()) {
    const Pack<T, pack> grad = load_pack<pack>(column);
    if (image != nullptr) {
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
    if (sums != nullptr) {
      const int sum_stride = static_cast<int>(gradients.input.pixel_stride);
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
  if (gradients.replace_columns) store_pack<pack>(column, value);
}

template <typename T>
__device__ void store_position_gradient(const DeformShape& s, const DeformWindow& w,
                                        const DeformPositions<T>& positions, const Place& at,
                                        int tap, const acc_t<T>* dot,
                                        const DeformGradients<T>& gradients) {
  const auto position = position_of(s, w, positions, at, tap);
  const auto g = sample_gradient(position.y, position.x, dot, position.mask);
  const int64_t group = (w.image + at.image) * s.offset_groups + at.group;
  const int64_t channel = group * s.taps() + tap;
  const int64_t out = int64_t{at.y} * s.out_width + at.x;
  gradients.offset[2 * channel * s.out_pixels() + out] = narrow<T>(g.y);
  gradients.offset[(2 * channel + 1) * s.out_pixels() + out] = narrow<T>(g.x);
  if (gradients.mask != nullptr) gradients.mask[channel * s.out_pixels() + out] = narrow<T>(g.mask);
}

template <typename T, int pack>
__global__ void __launch_bounds__(threads)
    gradients_kernel(DeformShape s, DeformWindow window, DeformPositions<T> positions,
                     Pixels<const T> input, DeformGradients<T> gradients, Sharing sharing) {
  FASTCV_DYN_SHARED(TapState<T>, states);  // [places][taps at once]
  const int own_place = threadIdx.x / sharing.lanes, lane = threadIdx.x % sharing.lanes;
  const Place place(s, window, blockIdx.x * sharing.places() + own_place);
  const int wide = static_cast<int>(s.offset_group_channels());
  const bool reads = gradients.replace_columns || gradients.offset != nullptr;
  for (int first = 0; first < s.kernel_width; first += sharing.taps) {
    const int here = s.kernel_width - first < sharing.taps ? s.kernel_width - first : sharing.taps;
    __syncthreads();  // the states before have been used
    for_each_tap(s, window, sharing, first, here, [&](int i, const Place& at, int j) {
      const auto position = position_of(s, window, positions, at, tap_of(s, j));
      states[i].sample = make_sample(position.y, position.x, s.width, position.mask);
    });
    __syncthreads();
    for (int j = 0; j < here; ++j) {
      TapState<T>& state = states[own_place * here + j];
      acc_t<T> dot[4] = {};
      for (int c = lane * pack; place.exists && c < wide; c += sharing.lanes * pack) {
        const int channel = place.group * wide + c;
        const T* image =
            reads ? input.data + place.image * input.image_stride + channel * input.channel_stride
                  : nullptr;
        acc_t<T>* sums = gradients.input.data == nullptr
                             ? nullptr
                             : gradients.input.data + place.image * gradients.input.image_stride +
                                   channel * gradients.input.channel_stride;
        T* column = gradients.columns + int64_t{place.row} * columns_of_pixel(s) +
                    column_of(s, channel, tap_of(s, first + j));
        add_pack<T, pack>(state.sample, image, static_cast<int>(input.pixel_stride), column,
                          gradients, sums, dot);
      }
      if (gradients.offset == nullptr) continue;
      for (int step = 1; step < sharing.lanes; step *= 2) {
#pragma unroll
        for (int k = 0; k < 4; ++k) dot[k] += __shfl_xor_sync(0xffffffffu, dot[k], step);
      }
      if (lane == 0) {
#pragma unroll
        for (int k = 0; k < 4; ++k) state.dot[k] = dot[k];
      }
    }
    if (gradients.offset == nullptr) continue;
    __syncthreads();
    for_each_tap(s, window, sharing, first, here, [&](int i, const Place& at, int j) {
      store_position_gradient(s, window, positions, at, tap_of(s, j), states[i].dot, gradients);
    });
  }
}

template <typename T>
__global__ void __launch_bounds__(threads)
    samples_kernel(DeformShape s, DeformWindow window, DeformPositions<T> positions,
                   Sample<acc_t<T>>* samples) {
  const Place place(s, window, blockIdx.x * threads + threadIdx.x);
  if (!place.exists) return;
  const int pixel = place.row % window.count;
  for (int j = 0; j < s.kernel_width; ++j) {
    const auto position = position_of(s, window, positions, place, tap_of(s, j));
    const int64_t channel =
        (int64_t{place.image} * s.offset_groups + place.group) * s.taps() + tap_of(s, j);
    samples[channel * window.count + pixel] =
        make_sample(position.y, position.x, s.width, position.mask);
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
    const auto sharing = deform::sharing_for(shape, pack, sizeof(deform::TapState<T>));
    launch(deform::gradients_kernel<T, pack>, deform::grid_for(shape, window, sharing.places()),
           dim3(deform::threads), sharing.places() * sharing.taps * sizeof(deform::TapState<T>),
           stream, shape, window, positions, input, gradients, sharing);
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
  launch(deform::samples_kernel<T>, deform::grid_for(shape, window, deform::threads),
         dim3(deform::threads), 0, stream, shape, window, positions, samples);
  const int64_t blocks = window.images * blocks_for(shape.channels, 32);
  launch(deform::ordered_scatter_kernel<T>, dim3(static_cast<unsigned>(blocks)),
         dim3(32 * deform::owners), 0, stream, shape, window, samples, grad_columns, grad_input);
}

}  // namespace fastcv::cuda
