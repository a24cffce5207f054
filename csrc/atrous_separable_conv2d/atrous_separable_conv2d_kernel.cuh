// A block makes the depthwise outputs of 128 pixels, 64 channels at a time (float: 64 and 32), in
// shared memory, and multiplies them at once by the pointwise weight.
#pragma once

#include <cstdint>

#include "atrous_separable_conv2d/atrous_separable_conv2d_kernel.h"
#include "common/cuda/convert.cuh"
#include "common/cuda/gemm_mma.cuh"
#include "common/cuda/launch.cuh"

namespace fastcv::cuda {

struct SeparableSizes {
  int64_t rows;  // output pixels of all images
  int channels, height, width, out_height, out_width, kernel_height, kernel_width;
  int stride_height, stride_width, pad_height, pad_width, dilation_height, dilation_width;
  bool relu;
};

// The left side: depthwise outputs, a row for each pixel. `taps`, the kernel's width or 1, are on
// their way together.
template <typename T, int pack, bool along_depth, int taps>
struct DepthwiseRows {
  using Tile = GemmTile<T, along_depth>;
  struct Row {
    int64_t corner;  // where the kernel's first tap lies, or would in an input that had its padding
    int top, left;   // the same in pixels
  };
  static constexpr bool expensive = true;

  Strided<const T> input;
  const T* weight;  // [kh, kw, channels]
  const T* biases;
  SeparableSizes s;
  int64_t tap_down, tap_right;  // from a tap to the next in input

  __device__ Row row(int64_t at) const {
    if (at >= s.rows) return {0, s.height, s.width};  // no tap of it is inside
    const int64_t pixels = int64_t{s.out_height} * s.out_width, image = at / pixels;
    const int pixel = static_cast<int>(at - image * pixels);
    const int top = pixel / s.out_width * s.stride_height - s.pad_height;
    const int left = pixel % s.out_width * s.stride_width - s.pad_width;
    return {image * input.n + top * input.h + left * input.w, top, left};
  }

  __device__ void operator()(T* tile, const Row* sources, int first, int) const {
    for_each_item<T, pack, along_depth>([&](unsigned row, unsigned k) {
      Pack<T, pack> item;
      for (T& x : item.item) x = narrow<T>(0);
      const int channel = first + static_cast<int>(k);
      if (channel < s.channels) make(sources[row], channel, item);
      *reinterpret_cast<Pack<T, pack>*>(tile + Tile::offset(row, k)) = item;
    });
  }

  __device__ void make(Row at, int channel, Pack<T, pack>& item) const {
    acc_t<T> sum[pack];
#pragma unroll
    for (int c = 0; c < pack; ++c) {
      sum[c] = biases == nullptr ? acc_t<T>(0) : widen(biases[channel + c]);
    }
    const T* line = input.data + at.corner + channel * input.c;
    const T* factors = weight + channel;
    const int width = taps > 1 ? taps : s.kernel_width;
    for (int i = 0, y = at.top; i < s.kernel_height; ++i) {
      const T* from = line;
      for (int j = 0, x = at.left; j < width; j += taps) {
        Pack<T, pack> values[taps];
        bool inside[taps];
#pragma unroll
        for (int t = 0; t < taps; ++t) {
          inside[t] = is_inside(x, s.width) && is_inside(y, s.height);
          if (inside[t]) values[t] = load_pack<pack>(from);
          x += s.dilation_width, from += tap_right;
        }
#pragma unroll
        for (int t = 0; t < taps; ++t) {
          if (inside[t]) {
            const auto factor = load_pack<pack>(factors);
#pragma unroll
            for (int c = 0; c < pack; ++c) {
              sum[c] = multiply_add(widen(values[t].item[c]), widen(factor.item[c]), sum[c]);
            }
          }
          factors += s.channels;
        }
      }
      y += s.dilation_height, line += tap_down;
    }
#pragma unroll
    for (int c = 0; c < pack; ++c) {
      item.item[c] = narrow<T>(s.relu && sum[c] < 0 ? acc_t<T>(0) : sum[c]);
    }
  }

  static __device__ bool is_inside(int at, int size) {
    return static_cast<unsigned>(at) < static_cast<unsigned>(size);
  }
};

template <typename T>
struct OutputPixels {
  static constexpr Runs runs = Runs::columns;

  Strided<T> output;
  const T* biases;
  int height, width;
  bool packed;

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
  const GemmSizes sizes{s.rows, small(shape.out_channels), s.channels, 1};
  constexpr int pack = 16 / sizeof(T);
  const OutputPixels<T> out{output, pointwise_bias, s.out_height, s.out_width,
                            can_pack<pack>(output, shape.out_channels)};
  const auto run = [&]<int pack_or_1, bool along_depth, int taps>() {
    const DepthwiseRows<T, pack_or_1, along_depth, taps> rows{input,
                                                              depthwise,
                                                              depthwise_bias,
                                                              s,
                                                              s.dilation_height * input.h,
                                                              s.dilation_width * input.w};
    launch_gemm(rows, pointwise, sizes, out, stream);
  };
  if (can_pack<pack>(input, s.channels) && reads_packed(depthwise, s.channels)) {
    if (s.kernel_width == 3) {
      run.template operator()<pack, true, 3>();
    } else {
      run.template operator()<pack, true, 1>();
    }
  } else if (input.c == 1) {
    run.template operator()<1, true, 1>();
  } else {
    run.template operator()<1, false, 1>();
  }
}

}  // namespace fastcv::cuda
