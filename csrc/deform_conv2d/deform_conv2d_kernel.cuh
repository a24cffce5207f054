// The forward kernel: a matrix product whose left side is gathered while it runs. A block makes 64
// output pixels times some output channels. For every tap it reads 32 channels of its pixels into
// shared memory, beside the weights for them, and multiplies; the next ones are on their way
// meanwhile. How it multiplies is a policy: tensor cores or plain.
#pragma once

#include "common/convert.cuh"
#include "common/launch.cuh"
#include "common/mma.cuh"
#include "deform_conv2d/deform_device.cuh"

namespace fastcv::cuda {
namespace deform {

constexpr int threads = 256;
constexpr int block_pixels = 64;
constexpr int step_channels = 32;
constexpr int pack = 8;  // channels that a thread reads of its pixel
static_assert(block_pixels * step_channels == threads * pack);

// Shared memory of the block's rows, [row][step_channels + padding]: the padding keeps the reads
// below free of bank conflicts.
template <typename T>
struct TensorCores {
  using Element = T;
  static constexpr int out_channels = sizeof(T) == 2 ? 256 : 128;
  static constexpr int row = step_channels + 16 / static_cast<int>(sizeof(T));
  static constexpr int rows_of_warp = 32, columns_of_warp = out_channels / 4;

  float sum[2][columns_of_warp / 8][4] = {};

  static __device__ T stored(float x) {
    if constexpr (sizeof(T) == 4) {
      return round_to_tf32(x);
    } else {
      return narrow<T>(x);
    }
  }

  static __device__ uint32_t word(const T* rows, int r, int w) {
    return reinterpret_cast<const uint32_t*>(rows + r * row)[w];
  }

  // Of the block's output channels the first `outs` exist.
  __device__ void multiply(const T* a, const T* b, int64_t outs) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int64_t left_outs = outs - warp % 4 * columns_of_warp;
    if (left_outs <= 0) return;
    const int r = warp / 4 * rows_of_warp + lane / 4, c = warp % 4 * columns_of_warp + lane / 4;
    constexpr int words = step_channels * static_cast<int>(sizeof(T)) / 4;
#pragma unroll
    for (int first = 0; first < words; first += 8) {
      const int w = first + lane % 4;
      uint32_t left[2][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        left[i][0] = word(a, r + i * 16, w), left[i][1] = word(a, r + i * 16 + 8, w);
        left[i][2] = word(a, r + i * 16, w + 4), left[i][3] = word(a, r + i * 16 + 8, w + 4);
      }
#pragma unroll
      for (int j = 0; j < columns_of_warp / 8; ++j) {
        if (j * 8 >= left_outs) break;
        const uint32_t right[2] = {word(b, c + j * 8, w), word(b, c + j * 8, w + 4)};
#pragma unroll
        for (int i = 0; i < 2; ++i) mma_16x8<T>(sum[i][j], left[i], right);
      }
    }
  }

  // Calls f(pixel, out channel, sum), both within the block, for the thread's results.
  template <typename F>
  __device__ void for_each(F f) const {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int r = warp / 4 * rows_of_warp + lane / 4;
    const int c = warp % 4 * columns_of_warp + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
#pragma unroll
      for (int j = 0; j < columns_of_warp / 8; ++j) {
#pragma unroll
        for (int k = 0; k < 4; ++k) f(r + i * 16 + k / 2 * 8, c + j * 8 + k % 2, sum[i][j][k]);
      }
    }
  }
};

template <typename T>
struct PlainCores {
  using Element = T;
  static constexpr int out_channels = sizeof(T) == 4 ? 128 : 64;
  static constexpr int row = step_channels + 1;
  static constexpr int pixels_of_thread = block_pixels / 16;
  static constexpr int channels_of_thread = out_channels / 16;

  T sum[pixels_of_thread][channels_of_thread] = {};

  static __device__ T stored(T x) { return x; }

  __device__ void multiply(const T* a, const T* b, int64_t) {
    const int p = threadIdx.x / 16, c = threadIdx.x % 16;
#pragma unroll 4
    for (int k = 0; k < step_channels; ++k) {
      T left[pixels_of_thread], right[channels_of_thread];
#pragma unroll
      for (int i = 0; i < pixels_of_thread; ++i) left[i] = a[(p + 16 * i) * row + k];
#pragma unroll
      for (int j = 0; j < channels_of_thread; ++j) right[j] = b[(c + 16 * j) * row + k];
#pragma unroll
      for (int i = 0; i < pixels_of_thread; ++i) {
#pragma unroll
        for (int j = 0; j < channels_of_thread; ++j) {
          sum[i][j] = multiply_add(left[i], right[j], sum[i][j]);
        }
      }
    }
  }

  template <typename F>
  __device__ void for_each(F f) const {
    const int p = threadIdx.x / 16, c = threadIdx.x % 16;
#pragma unroll
    for (int i = 0; i < pixels_of_thread; ++i) {
#pragma unroll
      for (int j = 0; j < channels_of_thread; ++j) f(p + 16 * i, c + 16 * j, sum[i][j]);
    }
  }
};

template <typename T>
struct alignas(sizeof(T) * pack > 16 ? 16 : sizeof(T) * pack) Pack {
  T item[pack];
};

template <typename T>
struct Arguments {
  DeformShape shape;
  Pixels<const T> input;
  DeformPositions<T> positions;
  const T* weight;
  const T* bias;
  Strided<T> output;
};

// Where the loop is: a tap, and channels from `channel` on of those up to `end`, which are in one
// offset group.
struct Step {
  int tap;
  int64_t channel, end;

  // Channels [begin, group_end) are the block's group; false behind the last tap.
  __device__ bool next(int64_t begin, int64_t group_end, int64_t of_offset_group, int taps) {
    channel += step_channels;
    if (channel >= end) {
      channel = end;
      if (channel == group_end) channel = begin, ++tap;
      const int64_t stop = (channel / of_offset_group + 1) * of_offset_group;
      end = stop < group_end ? stop : group_end;
    }
    return tap < taps;
  }
};

// `packed`: 8 neighbouring channels are read at once, of input and of weight.
template <typename Cores, bool packed, typename T>
__global__ void __launch_bounds__(threads) forward_kernel(Arguments<T> in) {
  using Acc = acc_t<T>;
  using Element = typename Cores::Element;
  constexpr int outs = Cores::out_channels, row = Cores::row;
  FASTCV_DYN_SHARED(Element, shared);
  Element* const left = shared;                            // [2][block_pixels][row]
  Element* const right = shared + 2 * block_pixels * row;  // [2][outs][row]

  const DeformShape& s = in.shape;
  const int64_t out_blocks = blocks_for(s.group_out_channels(), outs);
  const int64_t of_pixels = blockIdx.x / (out_blocks * s.groups);
  const int64_t group = blockIdx.x / out_blocks % s.groups;
  const int64_t first_out = blockIdx.x % out_blocks * outs;

  // Neighbouring threads have neighbouring packs of a pixel, or neighbouring pixels of a plane.
  constexpr int packs = step_channels / pack;
  const int pixel = packed ? threadIdx.x / packs : threadIdx.x % block_pixels;
  const int my_channel = (packed ? threadIdx.x % packs : threadIdx.x / block_pixels) * pack;
  const int64_t number = of_pixels * block_pixels + pixel;  // over all images
  const bool exists = number < s.batch * s.out_pixels();
  const int64_t image = number / s.out_pixels();
  const int in_image = static_cast<int>(number % s.out_pixels());
  const int y = in_image / s.out_width, x = in_image % s.out_width;
  const T* const pixels = in.input.data + image * in.input.image_stride;

  const int64_t begin = group * s.group_channels(), end = begin + s.group_channels();
  const int64_t of_offset_group = s.offset_group_channels();
  Sample<Acc> sample = {{-1, -1, -1, -1}, {0, 0, 0, 0}};
  int sampled_tap = -1;
  int64_t sampled_group = -1;

  // The thread's part of the next step, on its way: corners of the image, and weights.
  constexpr int weight_packs = outs * packs / threads;
  Pack<T> corner[4], weights[weight_packs];

  const auto load = [&](const Step& step) {
    const int64_t d = step.channel / of_offset_group;
    if (exists && (step.tap != sampled_tap || d != sampled_group)) {
      const auto at = position_of(s, in.positions, image, y, x, static_cast<int>(d), step.tap);
      sample = make_sample(at.y, at.x, s.width, at.mask);
      sampled_tap = step.tap, sampled_group = d;
    }
    const int64_t channel = step.channel + my_channel;
    if (!sample.outside()) {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const T* p =
            pixels + sample.pixel[k] * in.input.pixel_stride + channel * in.input.channel_stride;
        if constexpr (packed) {
          if (channel < step.end) corner[k] = *reinterpret_cast<const Pack<T>*>(p);
        } else {
#pragma unroll
          for (int i = 0; i < pack; ++i) {
            if (channel + i < step.end) corner[k].item[i] = p[i * in.input.channel_stride];
          }
        }
      }
    }
#pragma unroll
    for (int j = 0; j < weight_packs; ++j) {
      const int out = (threadIdx.x + j * threads) / packs;
      const int64_t c = step.channel + threadIdx.x % packs * pack;
      if (first_out + out >= s.group_out_channels()) continue;
      const T* w = in.weight +
                   ((group * s.group_out_channels() + first_out + out) * s.taps() + step.tap) *
                       s.group_channels() +
                   c - begin;
      if constexpr (packed) {
        if (c < step.end) weights[j] = *reinterpret_cast<const Pack<T>*>(w);
      } else {
#pragma unroll
        for (int i = 0; i < pack; ++i) {
          if (c + i < step.end) weights[j].item[i] = w[i];
        }
      }
    }
  };

  const auto store = [&](const Step& step, int buffer) {
    Element* to = left + (buffer * block_pixels + pixel) * row + my_channel;
#pragma unroll
    for (int i = 0; i < pack; ++i) {
      Acc value = 0;
      if (!sample.outside() && step.channel + my_channel + i < step.end) {
        value = sample.weight[3] * widen(corner[3].item[i]);
#pragma unroll
        for (int k = 2; k >= 0; --k) {
          value = multiply_add(sample.weight[k], widen(corner[k].item[i]), value);
        }
      }
      to[i] = Cores::stored(value);
    }
#pragma unroll
    for (int j = 0; j < weight_packs; ++j) {
      const int out = (threadIdx.x + j * threads) / packs;
      const int c = threadIdx.x % packs * pack;
      Element* w = right + (buffer * outs + out) * row + c;
      const bool out_exists = first_out + out < s.group_out_channels();
#pragma unroll
      for (int i = 0; i < pack; ++i) {
        const bool there = out_exists && step.channel + c + i < step.end;
        w[i] = Cores::stored(there ? widen(weights[j].item[i]) : Acc(0));
      }
    }
  };

  Cores cores;
  const int64_t stop = (begin / of_offset_group + 1) * of_offset_group;
  Step step{0, begin, stop < end ? stop : end};
  load(step);
  store(step, 0);
  __syncthreads();
  for (int buffer = 0;; buffer ^= 1) {
    Step following = step;
    const bool more = following.next(begin, end, of_offset_group, s.taps());
    if (more) load(following);
    cores.multiply(left + buffer * block_pixels * row, right + buffer * outs * row,
                   s.group_out_channels() - first_out);
    if (!more) break;
    store(following, buffer ^ 1);  // which all have read: the barrier below was between
    __syncthreads();
    step = following;
  }

  cores.for_each([&](int p, int out, Acc sum) {
    const int64_t at = of_pixels * block_pixels + p;
    if (at >= s.batch * s.out_pixels() || first_out + out >= s.group_out_channels()) return;
    const int64_t n = at / s.out_pixels(), o = group * s.group_out_channels() + first_out + out;
    const int inside = static_cast<int>(at % s.out_pixels());
    if (in.bias != nullptr) sum += widen(in.bias[o]);
    in.output.data[n * in.output.n + o * in.output.c + inside / s.out_width * in.output.h +
                   inside % s.out_width * in.output.w] = narrow<T>(sum);
  });
}

template <typename Cores, bool packed, typename T>
void launch_with(const Arguments<T>& in, cudaStream_t stream) {
  const DeformShape& s = in.shape;
  const int64_t blocks = blocks_for(s.batch * s.out_pixels(), block_pixels) * s.groups *
                         blocks_for(s.group_out_channels(), Cores::out_channels);
  constexpr size_t shared =
      2 * (block_pixels + Cores::out_channels) * Cores::row * sizeof(typename Cores::Element);
  launch(forward_kernel<Cores, packed, T>, dim3(static_cast<unsigned>(blocks)), dim3(threads),
         shared, stream, in);
}

template <typename Cores, typename T>
void launch_on(const Arguments<T>& in, cudaStream_t stream) {
  const DeformShape& s = in.shape;
  const auto even = [](int64_t n) { return n % pack == 0; };
  const auto aligned = [](const T* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  if (in.input.channel_stride == 1 && even(in.input.pixel_stride) && even(in.input.image_stride) &&
      even(s.group_channels()) && even(s.offset_group_channels()) && aligned(in.input.data) &&
      aligned(in.weight)) {
    launch_with<Cores, true>(in, stream);
  } else {
    launch_with<Cores, false>(in, stream);
  }
}

}  // namespace deform

template <typename T>
void launch_deform_conv2d(const DeformShape& shape, Pixels<const T> input,
                          const DeformPositions<T>& positions, const T* weight, const T* bias,
                          bool tf32, Strided<T> output, cudaStream_t stream) {
  const deform::Arguments<T> in{shape, input, positions, weight, bias, output};
  if constexpr (sizeof(T) == 2) {
    deform::launch_on<deform::TensorCores<T>>(in, stream);
  } else if constexpr (sizeof(T) == 4) {
    if (tf32) {
      deform::launch_on<deform::TensorCores<T>>(in, stream);
    } else {
      deform::launch_on<deform::PlainCores<T>>(in, stream);
    }
  } else {
    deform::launch_on<deform::PlainCores<T>>(in, stream);
  }
}

}  // namespace fastcv::cuda
