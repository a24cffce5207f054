// The columns: what the samples read, in the order in which a matrix product wants it.
#pragma once

#include "deform_conv2d/deform_device.cuh"

namespace fastcv::cuda {
namespace deform {

// A thread's channels of a tap.
template <typename T, int pack>
__device__ __forceinline__ Pack<T, pack> read_pack(const Sample<acc_t<T>>& sample, const T* image,
                                                   int pixel_stride) {
  using Acc = acc_t<T>;
  Pack<T, pack> values, corner[4];
  if (sample.outside()) {
#pragma unroll
    for (T& value : values.item) value = narrow<T>(Acc(0));
    return values;
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    corner[k] = load_pack<pack>(image + int64_t{sample.pixel[k]} * pixel_stride);
  }
#pragma unroll
  for (int i = 0; i < pack; ++i) {
    Acc sum = sample.weight[3] * widen(corner[3].item[i]);
#pragma unroll
    for (int k = 2; k >= 0; --k) {
      sum = multiply_add(sample.weight[k], widen(corner[k].item[i]), sum);
    }
    values.item[i] = narrow<T>(sum);
  }
  return values;
}

template <typename T, int pack>
__global__ void __launch_bounds__(threads)
    columns_kernel(DeformShape s, DeformWindow window, DeformPositions<T> positions,
                   Pixels<const T> input, T* __restrict__ columns, Sharing sharing) {
  FASTCV_DYN_SHARED(Sample<acc_t<T>>, samples);  // [places][taps at once]
  const int own_place = threadIdx.x / sharing.lanes, lane = threadIdx.x % sharing.lanes;
  const Place place(s, window, blockIdx.x * sharing.places() + own_place);
  const int wide = static_cast<int>(s.offset_group_channels());
  const int pixel_stride = static_cast<int>(input.pixel_stride);
  for (int first = 0; first < s.kernel_width; first += sharing.taps) {
    const int here = s.kernel_width - first < sharing.taps ? s.kernel_width - first : sharing.taps;
    __syncthreads();  // the samples before have been used
    for_each_tap(s, window, sharing, first, here, [&](int i, const Place& at, int j) {
      const auto position = position_of(s, window, positions, at, tap_of(s, j));
      samples[i] = make_sample(position.y, position.x, s.width, position.mask);
    });
    __syncthreads();
    if (!place.exists) continue;
    for (int c = lane * pack; c < wide; c += sharing.lanes * pack) {
      const int channel = place.group * wide + c;
      const T* image =
          input.data + place.image * input.image_stride + channel * input.channel_stride;
      T* to = columns + int64_t{place.row} * columns_of_pixel(s);
      for (int j = 0; j < here; ++j) {
        *reinterpret_cast<Pack<T, pack>*>(to + column_of(s, channel, tap_of(s, first + j))) =
            read_pack<T, pack>(samples[own_place * here + j], image, pixel_stride);
      }
    }
  }
}

}  // namespace deform

template <typename T>
void launch_deform_columns(const DeformShape& shape, const DeformWindow& window,
                           const DeformPositions<T>& positions, Pixels<const T> input, T* columns,
                           cudaStream_t stream) {
  const auto run = [&]<int pack>() {
    const auto sharing = deform::sharing_for(shape, pack, sizeof(Sample<acc_t<T>>));
    launch(deform::columns_kernel<T, pack>, deform::grid_for(shape, window, sharing.places()),
           dim3(deform::threads), sharing.places() * sharing.taps * sizeof(Sample<acc_t<T>>),
           stream, shape, window, positions, input, columns, sharing);
  };
  constexpr int wide = 16 / sizeof(T);
  if (deform::packs<wide>(input) && deform::packs<wide>(shape)) {
    run.template operator()<wide>();
  } else {
    run.template operator()<1>();
  }
}

}  // namespace fastcv::cuda
