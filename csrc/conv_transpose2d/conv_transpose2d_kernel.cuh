#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/gemm_mma.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "conv_transpose2d/conv_transpose2d_kernel.h"

namespace fastcv::cuda {

// --- Kernel = stride: one product of pixels and weights, its results stored where they belong.

template <typename T, int pack>
struct PixelRows {
  using Tile = GemmTile<T, false>;
  using Row = int64_t;  // where the pixel lies; -1 beyond the last
  static constexpr bool expensive = false;

  Strided<const T> input;
  int64_t rows;  // pixels of all images
  int height, width, depth;

  __device__ Row row(int64_t at) const {
    if (at >= rows) return -1;
    const int64_t pixels = int64_t{height} * width, image = at / pixels;
    const int pixel = static_cast<int>(at - image * pixels);
    return image * input.n + pixel / width * input.h + pixel % width * input.w;
  }

  // A pack is of pixels in the same image.
  __device__ void operator()(T* tile, const Row* sources, int first, int group) const {
    const T* of_group = input.data + int64_t{group} * depth * input.c;
    for_each_item<T, pack, false>([&](unsigned row, unsigned k) {
      const int channel = first + static_cast<int>(k);
      const bool inside = sources[row] >= 0 && channel < depth;
      const T* from = inside ? of_group + sources[row] + channel * input.c : input.data;
      T* to = tile + Tile::offset(row, k);
      if constexpr (pack > 1) {
        copy_async16(to, from, inside);
      } else {
        *to = inside ? *from : narrow<T>(0);
      }
    });
  }
};

template <typename T>
struct SpreadPixels {
  static constexpr Runs runs = Runs::rows;

  Strided<T> output;
  const T* biases;
  int height, width, kernel_height, kernel_width, channels;  // channels of a group
  bool packed;

  __device__ int64_t operator()(int64_t row) const {
    const int pixel = static_cast<int>(row % (int64_t{height} * width));
    return row / (int64_t{height} * width) * output.n +
           int64_t{pixel / width} * kernel_height * output.h +
           int64_t{pixel % width} * kernel_width * output.w;
  }
  __device__ int64_t operator()(int column, int group) const {
    const int taps = kernel_height * kernel_width;
    const int tap = column % taps;
    return (int64_t{group} * channels + channel(column)) * output.c +
           tap / kernel_width * output.h + tap % kernel_width * output.w;
  }
  __device__ acc_t<T> bias(int column, int group) const {
    return biases == nullptr ? acc_t<T>(0) : widen(biases[group * channels + channel(column)]);
  }
  __device__ int channel(int column) const { return column / (kernel_height * kernel_width); }
};

// Whether `size` neighbours in a row, or in a plane of rows without gaps, can be read or written at
// once from every multiple of `size` on.
template <int size, typename T>
bool rows_pack(const Strided<T>& t, bool plane = false) {
  return t.w == 1 && t.n % size == 0 && t.c % size == 0 && (plane || t.h % size == 0) &&
         reinterpret_cast<uintptr_t>(t.data) % (sizeof(T) * size) == 0;
}

template <typename T>
void launch_no_overlap(Strided<const T> input, const T* weight, const T* bias, Strided<T> output,
                       const TransposedShape& s, cudaStream_t stream) {
  const int height = static_cast<int>(s.height), width = static_cast<int>(s.width);
  const int depth = static_cast<int>(s.in_channels / s.groups);
  const int channels = static_cast<int>(s.out_channels / s.groups);
  const int kernel_height = static_cast<int>(s.kernel_height),
            kernel_width = static_cast<int>(s.kernel_width);
  const GemmSizes sizes{s.batch * s.height * s.width, channels * kernel_height * kernel_width,
                        depth, static_cast<int>(s.groups)};
  constexpr int pack = 16 / sizeof(T);
  // A column pair is two taps side by side, so 4 pixels of a row become 8 of output.
  const SpreadPixels<T> out{
      output,        bias,
      height,        width,
      kernel_height, kernel_width,
      channels,      kernel_width == 2 && s.width % 4 == 0 && rows_pack<8>(output)};
  if (s.height * s.width % pack == 0 && input.h == s.width && rows_pack<pack>(input, true)) {
    const PixelRows<T, pack> rows{input, sizes.rows, height, width, depth};
    launch_gemm(rows, weight, sizes, out, stream);
  } else {
    const PixelRows<T, 1> rows{input, sizes.rows, height, width, depth};
    launch_gemm(rows, weight, sizes, out, stream);
  }
}

// --- A kernel for each channel: a thread has an output position and goes through channels (and
// images), so that what reaches the position is worked out once. `pack` channels at once where
// channels_last.

struct DepthwiseSizes {
  int64_t planes;  // images * channels; images where channels_last
  int channels, height, width, out_height, out_width;
  int kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
};

template <typename T, bool channels_last, int pack>
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
      acc_t<T> sum[pack];
#pragma unroll
      for (int e = 0; e < pack; ++e) sum[e] = bias == nullptr ? acc_t<T>(0) : widen(bias[c + e]);
      const T* from = input.data + image * input.n + c * input.c;
      for (int a = row.begin; a < row.end; ++a) {
        for (int b = column.begin; b < column.end; ++b) {
          const int tap = (row.phase + a * s.stride_height) * s.kernel_width + column.phase +
                          b * s.stride_width;
          const int64_t w = channels_last ? int64_t{tap} * s.channels + c
                                          : int64_t{c} * s.kernel_height * s.kernel_width + tap;
          const auto pixel =
              load_pack<pack>(from + (row.block - a) * input.h + (column.block - b) * input.w);
          const auto factor = load_pack<pack>(weight + w);
#pragma unroll
          for (int e = 0; e < pack; ++e) {
            sum[e] = multiply_add(widen(pixel.item[e]), widen(factor.item[e]), sum[e]);
          }
        }
      }
      T* to = output.data + image * output.n + c * output.c + y * output.h + x * output.w;
      store_pack<pack>(to, sum);
    };
    if (channels_last) {
      for (int64_t image = blockIdx.z; image < s.planes; image += gridDim.z) {
        for (int c = threadIdx.x * pack; c < s.channels; c += blockDim.x * pack) sum_of(image, c);
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
  const auto limit = [](int64_t n) { return static_cast<unsigned>(n < 65535 ? n : 65535); };
  const auto run = [&](auto kernel, dim3 block, int64_t across, int64_t shared) {
    const dim3 grid(static_cast<unsigned>(ceil_div(s.out_width, across)), limit(s.out_height),
                    limit(ceil_div(sizes.planes, shared)));
    launch(kernel, grid, block, 0, stream, input, weight, bias, output, sizes);
  };
  constexpr int pack = 16 / sizeof(T);
  if (!channels_last) {
    run(depthwise_kernel<T, false, 1>, dim3(128), 128, 8);  // 8 planes a thread
  } else if (can_pack<pack>(input, s.in_channels) && can_pack<pack>(output, s.in_channels) &&
             reads_packed(weight, s.in_channels)) {
    unsigned lanes = 1;  // for the channels of a pixel
    while (lanes < 32 && lanes * pack < s.in_channels) lanes *= 2;
    run(depthwise_kernel<T, true, pack>, dim3(lanes, 128 / lanes), 128 / lanes, 1);
  } else {
    run(depthwise_kernel<T, true, 1>, dim3(32, 4), 4, 1);
  }
}

}  // namespace fastcv::cuda
