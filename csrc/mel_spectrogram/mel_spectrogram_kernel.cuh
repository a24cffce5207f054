// A block has a frame, in shared memory from the samples to the bands. Before, a kernel of one
// block writes the turns of the transform and each filter's range.
#pragma once

#include <cmath>
#include <cstdint>

#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "mel_spectrogram/mel_spectrogram_kernel.h"

namespace fastcv::cuda {
namespace mel {

constexpr int threads = 128, blocks_of_tables = 8;

template <typename T>
__global__ void __launch_bounds__(threads)
    tables_kernel(MelPlan plan, const T* __restrict__ filters, T* __restrict__ turns,
                  int32_t* __restrict__ ranges) {
  const int first = static_cast<int>(blockIdx.x) * threads + static_cast<int>(threadIdx.x);
  constexpr int step = threads * blocks_of_tables;
  for (int j = first; j < plan.window; j += step) {
    const double angle = -2 * 3.14159265358979323846 * j / plan.window;
    turns[2 * j] = static_cast<T>(cos(angle)), turns[2 * j + 1] = static_cast<T>(sin(angle));
  }
  for (int m = first; m < plan.filters; m += step) {
    const T* own = filters + int64_t{m} * plan.bins();
    int begin = 0, end = plan.bins();
    while (begin < end && own[begin] == 0) ++begin;
    while (end > begin && own[end - 1] == 0) --end;
    ranges[2 * m] = begin, ranges[2 * m + 1] = end;
  }
}

template <int r, typename T>
__device__ void transform_step(int points, int apart, const T* turns, int turn, const T* a,
                               const T* b, T* to_a, T* to_b) {
  const int others = points / r;
  for (int i = threadIdx.x; i < others; i += threads) {
    const int p = i / apart, to = i % apart + p * r * apart;
    T x[r], y[r];
#pragma unroll
    for (int j = 0; j < r; ++j) x[j] = a[i + j * others], y[j] = b[i + j * others];
    transform_few<r, T>(x, y);
    to_a[to] = x[0], to_b[to] = y[0];
#pragma unroll
    for (int k = 1; k < r; ++k) {
      const T* w = turns + 2 * (p * k * apart * turn);
      to_a[to + k * apart] = x[k] * w[0] - y[k] * w[1];
      to_b[to + k * apart] = x[k] * w[1] + y[k] * w[0];
    }
  }
}

// The same for any radix, by the sum itself: a thread makes one of the results.
template <typename T>
__device__ void transform_step_of_any(int r, int points, int apart, const T* turns, int turn,
                                      const T* a, const T* b, T* to_a, T* to_b) {
  const int others = points / r;
  for (int i = threadIdx.x; i < points; i += threads) {
    const int k = i / others, from = i % others, p = from / apart;
    T x = 0, y = 0;
    for (int j = 0; j < r; ++j) {
      const int64_t angle = int64_t{j} * k * others + int64_t{p} * k * apart;
      const T* w = turns + 2 * (angle % points * turn);
      const T u = a[from + j * others], v = b[from + j * others];
      x += u * w[0] - v * w[1], y += u * w[1] + v * w[0];
    }
    to_a[from % apart + (r * p + k) * apart] = x;
    to_b[from % apart + (r * p + k) * apart] = y;
  }
}

template <typename T>
__global__ void __launch_bounds__(threads)
    frames_kernel(MelPlan plan, const T* __restrict__ waves, const T* __restrict__ window,
                  const T* __restrict__ filters, const T* __restrict__ turns,
                  const int32_t* __restrict__ ranges, T* __restrict__ mel) {
  FASTCV_DYN_SHARED(T, shared);
  const int64_t t = static_cast<int64_t>(blockIdx.x) % plan.frames;
  const int64_t sound = static_cast<int64_t>(blockIdx.x) / plan.frames;
  const T* wave = waves + sound * plan.samples;
  const int part = plan.points + 1, turn = plan.window / plan.points;
  T *a = shared, *b = a + part, *to_a = b + part, *to_b = to_a + part;
  for (int i = threadIdx.x; i < plan.window; i += threads) {
    const int64_t at = plan.sample_at(t * plan.hop - plan.pad + i);
    const T sample = at < 0 ? T(0) : wave[at] * window[i];
    if (!plan.is_halved()) {
      a[i] = sample, b[i] = 0;
    } else if (i % 2 == 0) {
      a[i / 2] = sample;
    } else {
      b[i / 2] = sample;
    }
  }
  __syncthreads();
  int apart = 1;
  for (int step = 0; step < plan.steps; ++step) {
    const int r = plan.radices[step];
    if (r == 4) {
      transform_step<4>(plan.points, apart, turns, turn, a, b, to_a, to_b);
    } else if (r == 2) {
      transform_step<2>(plan.points, apart, turns, turn, a, b, to_a, to_b);
    } else if (r == 3) {
      transform_step<3>(plan.points, apart, turns, turn, a, b, to_a, to_b);
    } else if (r == 5) {
      transform_step<5>(plan.points, apart, turns, turn, a, b, to_a, to_b);
    } else {
      transform_step_of_any(r, plan.points, apart, turns, turn, a, b, to_a, to_b);
    }
    apart *= r;
    T *was_a = a, *was_b = b;
    a = to_a, b = to_b, to_a = was_a, to_b = was_b;
    __syncthreads();
  }
  T* spectrum = to_a;
  for (int k = threadIdx.x; k < plan.bins(); k += threads) {
    const int at = k == plan.points ? 0 : k;
    T x = a[at], y = b[at];
    if (plan.is_halved()) {
      // The even samples' transform and the odd ones', which is a turn of k behind.
      const int other = at == 0 ? 0 : plan.points - at;
      const T u = a[other], v = b[other];
      const T even_x = (x + u) / 2, even_y = (y - v) / 2, odd_x = (y + v) / 2, odd_y = (u - x) / 2;
      const T cosine = turns[2 * k], sine = turns[2 * k + 1];
      x = even_x + (odd_x * cosine - odd_y * sine);
      y = even_y + (odd_x * sine + odd_y * cosine);
    }
    const T squared = x * x + y * y;
    spectrum[k] = plan.magnitude ? sqrt(squared) : squared;
  }
  __syncthreads();
  for (int m = threadIdx.x; m < plan.filters; m += threads) {
    const T* weights = filters + int64_t{m} * plan.bins();
    T sum = 0;
    for (int k = ranges[2 * m]; k < ranges[2 * m + 1]; ++k) sum += weights[k] * spectrum[k];
    if (plan.floor > 0) {
      const T floor = static_cast<T>(plan.floor);
      sum = log(sum < floor ? floor : sum);  // NaN stays
    }
    mel[(sound * plan.filters + m) * plan.frames + t] = sum;
  }
}

}  // namespace mel

template <typename T>
void launch_mel_spectrogram(const MelPlan& plan, int64_t batch, const T* waves, const T* window,
                            const T* filters, T* turns, int32_t* ranges, T* mel,
                            cudaStream_t stream) {
  launch(mel::tables_kernel<T>, dim3(mel::blocks_of_tables), dim3(mel::threads), 0, stream, plan,
         filters, turns, ranges);
  launch(mel::frames_kernel<T>, dim3(static_cast<unsigned>(batch * plan.frames)),
         dim3(mel::threads), 4 * (static_cast<size_t>(plan.points) + 1) * sizeof(T), stream, plan,
         waves, window, filters, turns, ranges, mel);
}

}  // namespace fastcv::cuda
