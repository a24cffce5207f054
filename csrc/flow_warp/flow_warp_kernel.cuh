// A thread works out where its pixel looks, once for several channels. Neighbouring threads are
// neighbouring pixels in NCHW, and neighbouring channels in channels_last.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/cuda/pack.cuh"
#include "common/host/ceil_div.h"
#include "flow_warp/flow_warp_kernel.h"

namespace fastcv::cuda {
namespace warped {

constexpr int threads = 256;

// Which pixel and which channels are a thread's.
struct Share {
  int64_t image, pixel, channel;
  bool exists;

  // `part` channels a thread.
  __device__ Share(const WarpShape& s, int part, bool channels_first) {
    const int64_t thread = int64_t{blockIdx.x} * threads + threadIdx.x;
    const int64_t parts = ceil_div(s.channels, part), pixels = s.out_pixels();
    const int64_t inner = channels_first ? pixels : parts;
    const int64_t outer = thread / inner, along = thread % inner;
    exists = thread < s.batch * parts * pixels;
    image = channels_first ? outer / parts : outer / pixels;
    pixel = channels_first ? along : outer % pixels;
    channel = (channels_first ? outer % parts : along) * part;
  }
};

inline dim3 grid_for(const WarpShape& s, int part) {
  const int64_t all = s.batch * ceil_div(s.channels, part) * s.out_pixels();
  return dim3(static_cast<unsigned>(ceil_div(all, threads)));
}

// Where input pixel `pixel` begins.
template <typename T>
__device__ __forceinline__ T* at_pixel(const Strided<T>& t, int64_t image, int64_t pixel,
                                       int width) {
  return t.data + image * t.n + pixel / width * t.h + pixel % width * t.w;
}

// `pack` neighbouring channels in one access, `channels` of them a thread.
template <typename T, int pack, int channels>
__global__ void __launch_bounds__(threads)
    forward_kernel(WarpShape s, Strided<const T> input, const acc_t<T>* flow, Strided<T> output) {
  const Share share(s, channels, pack == 1);
  if (!share.exists) return;
  const auto sample =
      warp_sample(s, warp_position(s, flow + share.image * 2 * s.out_pixels(), share.pixel));
  T* to = at_pixel(output, share.image, share.pixel, s.out_width) + share.channel * output.c;
#pragma unroll
  for (int c = 0; c < channels; c += pack) {
    if (share.channel + c >= s.channels) break;
    acc_t<T> sum[pack];
#pragma unroll
    for (int i = 0; i < pack; ++i) sum[i] = sample.outside() ? acc_t<T>(0) : acc_t<T>(-0.0);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (sample.outside() || sample.weight[k] == 0) continue;
      const T* from =
          at_pixel(input, share.image, sample.pixel[k], s.width) + (share.channel + c) * input.c;
      const Pack<T, pack> x = load_pack<pack>(from);
#pragma unroll
      for (int i = 0; i < pack; ++i) {
        sum[i] = multiply_add(sample.weight[k], widen(x.item[i]), sum[i]);
      }
    }
    store_pack<pack>(to + c * output.c, sum);
  }
}

template <typename T, int channels>
__global__ void __launch_bounds__(threads)
    scatter_kernel(WarpShape s, Strided<const T> grad, const acc_t<T>* flow,
                   Strided<acc_t<T>> grad_input, bool channels_first) {
  const Share share(s, channels, channels_first);
  if (!share.exists) return;
  const auto sample =
      warp_sample(s, warp_position(s, flow + share.image * 2 * s.out_pixels(), share.pixel));
  if (sample.outside()) return;
  const T* from = at_pixel(grad, share.image, share.pixel, s.out_width) + share.channel * grad.c;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (sample.weight[k] == 0) continue;
    acc_t<T>* to =
        at_pixel(grad_input, share.image, sample.pixel[k], s.width) + share.channel * grad_input.c;
#pragma unroll
    for (int c = 0; c < channels; ++c) {
      if (share.channel + c >= s.channels) break;
      atomicAdd(to + c * grad_input.c, sample.weight[k] * widen(from[c * grad.c]));
    }
  }
}

// A thread owns, of one channel, the pixels whose number ends in its warp's: it goes through all
// samples and adds where they are its own.
constexpr int owners = 16;

template <typename T>
__global__ void __launch_bounds__(32 * owners)
    ordered_scatter_kernel(WarpShape s, Strided<const T> grad, const acc_t<T>* flow,
                           Strided<acc_t<T>> grad_input) {
  const int64_t blocks = ceil_div(s.channels, 32), image = blockIdx.x / blocks;
  const int64_t channel = blockIdx.x % blocks * 32 + threadIdx.x % 32;
  const int owner = threadIdx.x / 32;
  if (channel >= s.channels) return;
  for (int64_t p = 0; p < s.out_pixels(); ++p) {
    const auto sample = warp_sample(s, warp_position(s, flow + image * 2 * s.out_pixels(), p));
    if (sample.outside()) continue;
    const T* from = at_pixel(grad, image, p, s.out_width) + channel * grad.c;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (sample.pixel[k] % owners != owner || sample.weight[k] == 0) continue;
      acc_t<T>* to = at_pixel(grad_input, image, sample.pixel[k], s.width) + channel * grad_input.c;
      *to = multiply_add(sample.weight[k], acc_t<T>(widen(*from)), *to);
    }
  }
}

// A block has 32 pixels; its warps share the channels, and their sums are added in order.
constexpr int sharing = threads / 32;

template <typename T>
__global__ void __launch_bounds__(threads)
    flow_gradient_kernel(WarpShape s, Strided<const T> grad, Strided<const T> input,
                         const acc_t<T>* flow, acc_t<T>* grad_flow) {
  using Acc = acc_t<T>;
  FASTCV_SHARED(Acc, dots, [sharing][4][32]);
  const int own = threadIdx.x % 32, lane = threadIdx.x / 32;
  const int64_t index = int64_t{blockIdx.x} * 32 + own, out = s.out_pixels();
  const bool exists = index < s.batch * out;
  const int64_t image = exists ? index / out : 0, pixel = exists ? index % out : 0;
  const auto position = warp_position(s, flow + image * 2 * out, pixel);
  const auto sample = warp_sample(s, position);
  Acc dot[4] = {};
  if (exists && !sample.outside()) {
    const T* from = at_pixel(grad, image, pixel, s.out_width);
    const T* corner[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) corner[k] = at_pixel(input, image, sample.pixel[k], s.width);
    for (int64_t c = lane; c < s.channels; c += sharing) {
      const Acc g = widen(from[c * grad.c]);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        dot[k] = multiply_add(g, Acc(widen(corner[k][c * input.c])), dot[k]);
      }
    }
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) dots[lane][k][own] = dot[k];
  __syncthreads();
  if (lane > 0 || !exists) return;
  for (int from = 1; from < sharing; ++from) {
#pragma unroll
    for (int k = 0; k < 4; ++k) dot[k] += dots[from][k][own];
  }
  const FlowGradient<Acc> g = flow_gradient(position, dot);
  grad_flow[image * 2 * out + pixel] = g.x;
  grad_flow[(image * 2 + 1) * out + pixel] = g.y;
}

}  // namespace warped

template <typename T>
void launch_flow_warp(const WarpShape& shape, Strided<const T> input, const acc_t<T>* flow,
                      Strided<T> output, cudaStream_t stream) {
  constexpr int wide = 16 / sizeof(T), alone = 8;
  if (can_pack<wide>(input, shape.channels) && can_pack<wide>(output, shape.channels)) {
    launch(warped::forward_kernel<T, wide, wide>, warped::grid_for(shape, wide),
           dim3(warped::threads), 0, stream, shape, input, flow, output);
  } else {
    launch(warped::forward_kernel<T, 1, alone>, warped::grid_for(shape, alone),
           dim3(warped::threads), 0, stream, shape, input, flow, output);
  }
}

template <typename T>
void launch_flow_warp_scatter(const WarpShape& shape, Strided<const T> grad, const acc_t<T>* flow,
                              Strided<acc_t<T>> grad_input, cudaStream_t stream) {
  constexpr int channels = 4;
  launch(warped::scatter_kernel<T, channels>, warped::grid_for(shape, channels),
         dim3(warped::threads), 0, stream, shape, grad, flow, grad_input, grad.c != 1);
}

template <typename T>
void launch_flow_warp_ordered_scatter(const WarpShape& shape, Strided<const T> grad,
                                      const acc_t<T>* flow, Strided<acc_t<T>> grad_input,
                                      cudaStream_t stream) {
  const int64_t blocks = shape.batch * ceil_div(shape.channels, 32);
  launch(warped::ordered_scatter_kernel<T>, dim3(static_cast<unsigned>(blocks)),
         dim3(32 * warped::owners), 0, stream, shape, grad, flow, grad_input);
}

template <typename T>
void launch_flow_warp_flow_gradient(const WarpShape& shape, Strided<const T> grad,
                                    Strided<const T> input, const acc_t<T>* flow,
                                    acc_t<T>* grad_flow, cudaStream_t stream) {
  const int64_t blocks = ceil_div(shape.batch * shape.out_pixels(), 32);
  launch(warped::flow_gradient_kernel<T>, dim3(static_cast<unsigned>(blocks)),
         dim3(warped::threads), 0, stream, shape, grad, input, flow, grad_flow);
}

}  // namespace fastcv::cuda
