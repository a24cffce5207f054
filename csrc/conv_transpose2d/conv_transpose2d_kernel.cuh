#pragma once

#include <cstdint>

#include "common/convert.cuh"
#include "common/launch.cuh"
#include "common/tile_product.cuh"
#include "conv_transpose2d/conv_transpose2d_kernel.h"

namespace fastcv::cuda {

// --- Kernel = stride: one product of pixels and weights, its results stored where they belong.

template <typename T, int pack, bool along_depth>
struct PixelRows {
  Strided<const T> input;
  int64_t rows;  // pixels of all images
  int height, width, depth;

  __device__ void operator()(T* tile, int64_t first_row, int first, int group) const {
    for_each_item<pack, along_depth>([&](int row, int k) {
      Pack<T, pack> item;
      for (T& x : item.item) x = narrow<T>(0);
      const int64_t at = first_row + row;
      if (at < rows && first + k < depth) {
        const int pixel = static_cast<int>(at % (int64_t{height} * width));
        const T* from = input.data + at / (int64_t{height} * width) * input.n +
                        (int64_t{group} * depth + first + k) * input.c + pixel / width * input.h +
                        pixel % width * input.w;
        item = *reinterpret_cast<const Pack<T, pack>*>(from);
      }
      *reinterpret_cast<Pack<T, pack>*>(tile + row * product::step + k) = item;
    });
  }
};

template <typename T, bool channels_last>
struct SpreadPixels {
  Strided<T> output;
  const T* biases;
  int height, width, kernel_height, kernel_width, channels;  // channels of a group

  __device__ int64_t operator()(int64_t row) const {
    const int pixel = static_cast<int>(row % (int64_t{height} * width));
    return row / (int64_t{height} * width) * output.n +
           int64_t{pixel / width} * kernel_height * output.h +
           int64_t{pixel % width} * kernel_width * output.w;
  }
  __device__ int64_t operator()(int column, int group) const {
    const int taps = kernel_height * kernel_width;
    const int tap = channels_last ? column / channels : column % taps;
    return (int64_t{group} * channels + channel(column)) * output.c +
           tap / kernel_width * output.h + tap % kernel_width * output.w;
  }
  __device__ acc_t<T> bias(int column, int group) const {
    return biases == nullptr ? acc_t<T>(0) : widen(biases[group * channels + channel(column)]);
  }
  __device__ int channel(int column) const {
    return channels_last ? column % channels : column / (kernel_height * kernel_width);
  }
};

template <typename T>
void launch_no_overlap(Strided<const T> input, const T* weight, const T* bias, Strided<T> output,
                       const TransposedShape& s, bool channels_last, cudaStream_t stream) {
  const int height = static_cast<int>(s.height), width = static_cast<int>(s.width);
  const int depth = static_cast<int>(s.in_channels / s.groups);
  const int channels = static_cast<int>(s.out_channels / s.groups);
  const int kernel_height = static_cast<int>(s.kernel_height),
            kernel_width = static_cast<int>(s.kernel_width);
  const ProductSizes sizes{s.batch * s.height * s.width, channels * kernel_height * kernel_width,
                           depth, static_cast<int>(s.groups)};
  constexpr int pack = 16 / sizeof(T);
  if (channels_last) {
    const SpreadPixels<T, true> out{output,        bias,         height,  width,
                                    kernel_height, kernel_width, channels};
    if (can_pack<pack>(input, depth)) {
      const PixelRows<T, pack, true> rows{input, sizes.rows, height, width, depth};
      launch_tile_product(rows, weight, sizes, out, stream);
    } else {
      const PixelRows<T, 1, true> rows{input, sizes.rows, height, width, depth};
      launch_tile_product(rows, weight, sizes, out, stream);
    }
  } else {
    const SpreadPixels<T, false> out{output,        bias,         height,  width,
                                     kernel_height, kernel_width, channels};
    const PixelRows<T, 1, false> rows{input, sizes.rows, height, width, depth};
    launch_tile_product(rows, weight, sizes, out, stream);
  }
}

// --- A kernel for each channel: a thread has an output position and goes through channels (and
// images), so that what reaches the position is worked out once.

struct DepthwiseSizes {
  int64_t planes;  // images * channels; images where channels_last
  int channels, height, width, out_height, out_width;
  int kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
};

template <typename T, bool channels_last>
__global__ void __launch_bounds__(128)
    depthwise_kernel(Strided<const T> input, const T* __restrict__ weight, const T* bias,
                     Strided<T> output, DepthwiseSizes s) {
  const int x = blockIdx.x * (channels_last ? blockDim.y : blockDim.x) +
                (channels_last ? threadIdx.y : threadIdx.x);
  if (x >= s.out_width) return;
  for (int y = blockIdx.y; y < s.out_height; y += gridDim.y) {
    const auto row = taps_at<int>(y + s.pad_height, s.stride_height, s.kernel_height, s.height);
    const auto column = taps_at<int>(x + s.pad_width, s.stride_width, s.kernel_width, s.width);
    const auto sum_of = [&](int64_t image, int c) {
      acc_t<T> sum = bias == nullptr ? acc_t<T>(0) : widen(bias[c]);
      const T* from = input.data + image * input.n + c * input.c;
      for (int a = row.begin; a < row.end; ++a) {
        for (int b = column.begin; b < column.end; ++b) {
          const int tap = (row.phase + a * s.stride_height) * s.kernel_width + column.phase +
                          b * s.stride_width;
          const int64_t w = channels_last ? int64_t{tap} * s.channels + c
                                          : int64_t{c} * s.kernel_height * s.kernel_width + tap;
          const T pixel = from[(row.block - a) * input.h + (column.block - b) * input.w];
          sum = multiply_add(widen(pixel), widen(weight[w]), sum);
        }
      }
      output.data[image * output.n + c * output.c + y * output.h + x * output.w] = narrow<T>(sum);
    };
    if (channels_last) {
      for (int64_t image = blockIdx.z; image < s.planes; image += gridDim.z) {
        for (int c = threadIdx.x; c < s.channels; c += blockDim.x) sum_of(image, c);
      }
    } else {
      for (int64_t plane = blockIdx.z; plane < s.planes; plane += gridDim.z) {
        sum_of(plane / s.channels, static_cast<int>(plane % s.channels));
      }
    }
  }
}

template <typename T>
void launch_depthwise_transposed(Strided<const T> input, const T* weight, const T* bias,
                                 Strided<T> output, const TransposedShape& s, bool channels_last,
                                 cudaStream_t stream) {
  const auto small = [](int64_t n) { return static_cast<int>(n); };
  const DepthwiseSizes sizes{channels_last ? s.batch : s.batch * s.in_channels,
                             small(s.in_channels),
                             small(s.height),
                             small(s.width),
                             small(s.out_height),
                             small(s.out_width),
                             small(s.kernel_height),
                             small(s.kernel_width),
                             small(s.stride_height),
                             small(s.stride_width),
                             small(s.pad_height),
                             small(s.pad_width)};
  const dim3 block = channels_last ? dim3(32, 4) : dim3(128);
  const int64_t across = channels_last ? 4 : 128;
  const int64_t shared = channels_last ? 1 : 8;  // planes of a thread
  const auto limit = [](int64_t n) { return static_cast<unsigned>(n < 65535 ? n : 65535); };
  const dim3 grid(static_cast<unsigned>((s.out_width + across - 1) / across), limit(s.out_height),
                  limit((sizes.planes + shared - 1) / shared));
  if (channels_last) {
    launch(depthwise_kernel<T, true>, grid, block, 0, stream, input, weight, bias, output, sizes);
  } else {
    launch(depthwise_kernel<T, false>, grid, block, 0, stream, input, weight, bias, output, sizes);
  }
}

}  // namespace fastcv::cuda
