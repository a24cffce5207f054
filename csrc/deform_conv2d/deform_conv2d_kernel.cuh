// The columns: what the samples read, in the order in which a matrix product wants it.
#pragma once

#include "deform_conv2d/deform_device.cuh"

namespace fastcv::cuda {
namespace deform {

template <typename T, int pack>
__global__ void __launch_bounds__(threads)
    columns_kernel(DeformShape s, DeformWindow window, DeformPositions<T> positions,
                   Pixels<const T> input, T* __restrict__ columns, int lanes) {
  using Acc = acc_t<T>;
  const Place place(s, window, lanes);
  if (!place.exists) return;
  const PlacePositions<T> position(s, window, positions, place);
  const int wide = static_cast<int>(s.offset_group_channels());
  const int pixel_stride = static_cast<int>(input.pixel_stride);
  for (int j = 0; j < s.kernel_width; ++j) {
    const auto at = position(s, j);
    const Sample<Acc> sample = make_sample(at.y, at.x, s.width, at.mask);
    for (int c = place.lane * pack; c < wide; c += lanes * pack) {
      const int channel = place.group * wide + c;
      Pack<T, pack> values;
      if (sample.outside()) {
#pragma unroll
        for (T& value : values.item) value = narrow<T>(Acc(0));
      } else {
        const T* image =
            input.data + int64_t{place.image} * input.image_stride + channel * input.channel_stride;
        Pack<T, pack> corner[4];
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
      }
      T* to = columns + int64_t{place.row} * columns_of_pixel(s) +
              column_of(s, channel, place.tap(s, j));
      *reinterpret_cast<Pack<T, pack>*>(to) = values;
    }
  }
}

}  // namespace deform

template <typename T>
void launch_deform_columns(const DeformShape& shape, const DeformWindow& window,
                           const DeformPositions<T>& positions, Pixels<const T> input, T* columns,
                           cudaStream_t stream) {
  const auto run = [&]<int pack>() {
    const int lanes = deform::lanes_for(shape, pack);
    launch(deform::columns_kernel<T, pack>, deform::grid_for(shape, window, lanes),
           dim3(deform::threads), 0, stream, shape, window, positions, input, columns, lanes);
  };
  constexpr int wide = 16 / sizeof(T);
  if (deform::packs<wide>(input) && deform::packs<wide>(shape)) {
    run.template operator()<wide>();
  } else {
    run.template operator()<1>();
  }
}

}  // namespace fastcv::cuda
