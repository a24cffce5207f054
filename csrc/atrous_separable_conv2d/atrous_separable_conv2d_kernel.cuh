// A block makes the depthwise outputs of 64 pixels, 32 channels at a time, in shared memory, and
// multiplies them at once by the pointwise weight.
#pragma once

#include <cstdint>

#include "atrous_separable_conv2d/atrous_separable_conv2d_kernel.h"
#include "common/convert.cuh"
#include "common/launch.cuh"
#include "common/tile_product.cuh"

namespace fastcv::cuda {

struct SeparableSizes {
  int64_t rows;  // output pixels of all images
  int channels, height, width, out_height, out_width, kernel_height, kernel_width;
  int stride_height, stride_width, pad_height, pad_width, dilation_height, dilation_width;
  bool relu;
};

// The left side: depthwise outputs, a row for each pixel.
template <typename T, int pack, bool along_depth>
struct DepthwiseRows {
  Strided<const T> input;
  const T* weight;  // [kh, kw, channels]
  const T* biases;
  SeparableSizes s;

  __device__ void operator()(T* tile, int64_t first_row, int first, int) const {
    for_each_item<pack, along_depth>([&](int row, int k) {
      Pack<T, pack> item;
      for (T& x : item.item) x = narrow<T>(0);
      if (first_row + row < s.rows && first + k < s.channels)
        make(first_row + row, first + k, item);
      *reinterpret_cast<Pack<T, pack>*>(tile + row * product::step + k) = item;
    });
  }

  __device__ void make(int64_t at, int channel, Pack<T, pack>& item) const {
    const int64_t pixels = int64_t{s.out_height} * s.out_width, image = at / pixels;
    const int pixel = static_cast<int>(at - image * pixels);
    const int top = pixel / s.out_width * s.stride_height - s.pad_height;
    const int left = pixel % s.out_width * s.stride_width - s.pad_width;
    const T* plane = input.data + image * input.n + channel * input.c;
    acc_t<T> sum[pack];
    for (int c = 0; c < pack; ++c) {
      sum[c] = biases == nullptr ? acc_t<T>(0) : widen(biases[channel + c]);
    }
    for (int i = 0; i < s.kernel_height; ++i) {
      const int y = top + i * s.dilation_height;
      if (y < 0 || y >= s.height) continue;
      for (int j = 0; j < s.kernel_width; ++j) {
        const int x = left + j * s.dilation_width;
        if (x < 0 || x >= s.width) continue;
        const auto value =
            *reinterpret_cast<const Pack<T, pack>*>(plane + y * input.h + x * input.w);
        const auto factor = *reinterpret_cast<const Pack<T, pack>*>(
            weight + (int64_t{i} * s.kernel_width + j) * s.channels + channel);
#pragma unroll
        for (int c = 0; c < pack; ++c) {
          sum[c] = multiply_add(widen(value.item[c]), widen(factor.item[c]), sum[c]);
        }
      }
    }
    for (int c = 0; c < pack; ++c) {
      item.item[c] = narrow<T>(s.relu && sum[c] < 0 ? acc_t<T>(0) : sum[c]);
    }
  }
};

template <typename T>
struct OutputPixels {
  Strided<T> output;
  const T* biases;
  int height, width;

  __device__ int64_t operator()(int64_t row) const {
    const int64_t pixels = int64_t{height} * width, image = row / pixels;
    const int pixel = static_cast<int>(row - image * pixels);
    return image * output.n + pixel / width * output.h + pixel % width * output.w;
  }
  __device__ int64_t operator()(int column, int) const { return column * output.c; }
  __device__ acc_t<T> bias(int column, int) const {
    return biases == nullptr ? acc_t<T>(0) : widen(biases[column]);
  }
};

template <typename T>
void launch_separable(Strided<const T> input, const T* depthwise, const T* depthwise_bias,
                      const T* pointwise, const T* pointwise_bias, Strided<T> output,
                      const SeparableShape& shape, cudaStream_t stream) {
  const auto small = [](int64_t n) { return static_cast<int>(n); };
  const SeparableSizes s{shape.batch * shape.out_height * shape.out_width,
                         small(shape.channels),
                         small(shape.height),
                         small(shape.width),
                         small(shape.out_height),
                         small(shape.out_width),
                         small(shape.kernel_height),
                         small(shape.kernel_width),
                         small(shape.stride_height),
                         small(shape.stride_width),
                         small(shape.pad_height),
                         small(shape.pad_width),
                         small(shape.dilation_height),
                         small(shape.dilation_width),
                         shape.relu};
  const ProductSizes sizes{s.rows, small(shape.out_channels), s.channels, 1};
  const OutputPixels<T> out{output, pointwise_bias, s.out_height, s.out_width};
  constexpr int pack = 16 / sizeof(T);
  if (can_pack<pack>(input, s.channels) && reads_packed(depthwise, s.channels)) {
    const DepthwiseRows<T, pack, true> rows{input, depthwise, depthwise_bias, s};
    launch_tile_product(rows, pointwise, sizes, out, stream);
  } else if (input.c == 1) {
    const DepthwiseRows<T, 1, true> rows{input, depthwise, depthwise_bias, s};
    launch_tile_product(rows, pointwise, sizes, out, stream);
  } else {
    const DepthwiseRows<T, 1, false> rows{input, depthwise, depthwise_bias, s};
    launch_tile_product(rows, pointwise, sizes, out, stream);
  }
}

}  // namespace fastcv::cuda
