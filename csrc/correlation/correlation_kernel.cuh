// Neighbouring threads are neighbouring pixels: what they read lies side by side, and what they
// share comes from the L1 cache. Sums go through the channels, or displacements, in order.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "correlation/correlation_kernel.h"

namespace fastcv::cuda {
namespace correlated {

constexpr int threads = 256;
constexpr int shifts = 3;    // of dx a thread, that share a's pixel
constexpr int channels = 4;  // a thread, that share the gradient

inline dim3 grid_for(int64_t all) { return dim3(static_cast<unsigned>(ceil_div(all, threads))); }

template <typename T>
__global__ void __launch_bounds__(threads)
    forward_kernel(CorrelationShape s, const T* a, const T* b, T* output) {
  using Acc = acc_t<T>;
  const int64_t groups = ceil_div(s.side(), shifts), pixels = s.pixels();
  const int64_t thread = int64_t{blockIdx.x} * threads + threadIdx.x;
  const int64_t pixel = thread % pixels, group = thread / pixels % groups;
  const int64_t dy = thread / pixels / groups % s.side(),
                image = thread / pixels / groups / s.side();
  if (image >= s.batch) return;
  const int64_t y = pixel / s.width + dy - s.radius;
  const int64_t x = pixel % s.width + group * shifts - s.radius;
  const int64_t first = image * s.channels * pixels;
  Acc sum[shifts] = {};
  bool inside[shifts];
#pragma unroll
  for (int i = 0; i < shifts; ++i) {
    inside[i] = y >= 0 && y < s.height && x + i >= 0 && x + i < s.width;
  }
  for (int64_t c = 0; c < s.channels; ++c) {
    const Acc own = widen(a[first + c * pixels + pixel]);
    const int64_t row = first + c * pixels + y * s.width + x;
#pragma unroll
    for (int i = 0; i < shifts; ++i) {
      sum[i] = multiply_add(own, inside[i] ? Acc(widen(b[row + i])) : Acc(0), sum[i]);
    }
  }
  const Acc share = Acc(1) / static_cast<Acc>(s.channels);
  const int64_t to = image * s.displacements() + dy * s.side() + group * shifts;
#pragma unroll
  for (int i = 0; i < shifts; ++i) {
    if (group * shifts + i < s.side())
      output[(to + i) * pixels + pixel] = narrow<T>(sum[i] * share);
  }
}

template <typename T>
__global__ void __launch_bounds__(threads)
    gradient_kernel(CorrelationShape s, const T* grad, bool turned, const T* other, T* out) {
  using Acc = acc_t<T>;
  const int64_t groups = ceil_div(s.channels, channels), pixels = s.pixels();
  const int64_t thread = int64_t{blockIdx.x} * threads + threadIdx.x;
  const int64_t pixel = thread % pixels, image = thread / pixels / groups;
  const int64_t channel = thread / pixels % groups * channels;
  if (image >= s.batch) return;
  const int64_t n = s.displacements(), first = (image * s.channels + channel) * pixels;
  Acc sum[channels] = {};
  for (int64_t d = 0; d < n; ++d) {
    const int64_t dy = d / s.side() - s.radius, dx = d % s.side() - s.radius;
    const int64_t y = pixel / s.width + dy, x = pixel % s.width + dx;
    const bool inside = y >= 0 && y < s.height && x >= 0 && x < s.width;
    const int64_t there = y * s.width + x;
    Acc by = 0;
    if (!turned) by = widen(grad[(image * n + d) * pixels + pixel]);
    if (turned && inside) by = widen(grad[(image * n + n - 1 - d) * pixels + there]);
#pragma unroll
    for (int c = 0; c < channels; ++c) {
      if (channel + c >= s.channels) break;
      const Acc value = inside ? Acc(widen(other[first + c * pixels + there])) : Acc(0);
      sum[c] = multiply_add(by, value, sum[c]);
    }
  }
  const Acc share = Acc(1) / static_cast<Acc>(s.channels);
#pragma unroll
  for (int c = 0; c < channels; ++c) {
    if (channel + c < s.channels) out[first + c * pixels + pixel] = narrow<T>(sum[c] * share);
  }
}

}  // namespace correlated

template <typename T>
void launch_correlation(const CorrelationShape& shape, const T* a, const T* b, T* output,
                        cudaStream_t stream) {
  const int64_t groups = ceil_div(shape.side(), correlated::shifts);
  launch(correlated::forward_kernel<T>,
         correlated::grid_for(shape.batch * shape.side() * groups * shape.pixels()),
         dim3(correlated::threads), 0, stream, shape, a, b, output);
}

template <typename T>
void launch_correlation_gradient(const CorrelationShape& shape, const T* grad, bool turned,
                                 const T* other, T* out, cudaStream_t stream) {
  const int64_t groups = ceil_div(shape.channels, correlated::channels);
  launch(correlated::gradient_kernel<T>,
         correlated::grid_for(shape.batch * groups * shape.pixels()), dim3(correlated::threads), 0,
         stream, shape, grad, turned, other, out);
}

}  // namespace fastcv::cuda
