// A thread follows a line. Where neighbours in memory belong to different lines, a warp reads 32 of
// them at once; where they are one line's, 32 lines go through shared memory, 32 pixels at a time.
#pragma once

#include <cstdint>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "corner_pool/corner_pool_kernel.h"

namespace fastcv::cuda {

// Of (input): the largest so far; NaN is larger than all else.
template <typename T>
struct PoolStep {
  static constexpr int inputs = 1;
  static constexpr bool from_the_end = false;
  acc_t<T> max = -INFINITY;

  __device__ T next(const T (&in)[inputs]) {
    const acc_t<T> x = widen(in[0]);
    if (x >= max || x != x) max = x;
    return narrow<T>(max);
  }
};

// Of (grad, input, output): each pixel's gradient is what lies between it and the next that is
// larger. A pixel is its own largest where input and output are equal.
template <typename T>
struct UnpoolStep {
  static constexpr int inputs = 3;
  static constexpr bool from_the_end = true;
  acc_t<T> sum = 0;

  __device__ T next(const T (&in)[inputs]) {
    const acc_t<T> x = widen(in[1]);
    sum += widen(in[0]);
    if (x != widen(in[2]) && x == x) return narrow<T>(acc_t<T>(0));
    const T all = narrow<T>(sum);
    sum = 0;
    return all;
  }
};

template <typename T, int inputs>
struct LineTensors {
  const T* in[inputs];
  T* out;
};

// `count` pixels of a line, `stride` apart. All are on their way before the first is used: one at a
// time, too few bytes are.
template <int count, typename Step, typename T>
__device__ __forceinline__ void take_steps(const LineTensors<T, Step::inputs>& tensors, int64_t at,
                                           int64_t stride, Step& step) {
  T in[count][Step::inputs];
#pragma unroll
  for (int i = 0; i < count; ++i) {
#pragma unroll
    for (int k = 0; k < Step::inputs; ++k) in[i][k] = tensors.in[k][at + i * stride];
  }
#pragma unroll
  for (int i = 0; i < count; ++i) tensors.out[at + i * stride] = step.next(in[i]);
}

template <typename Step, typename T>
__global__ void __launch_bounds__(256)
    lines_side_by_side_kernel(CornerPoolLines lines, LineTensors<T, Step::inputs> tensors) {
  const int64_t line = int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (line >= lines.outer * lines.inner) return;
  const bool backwards = lines.backwards != Step::from_the_end;
  const int64_t base = line / lines.inner * lines.length * lines.inner + line % lines.inner;
  const int64_t stride = backwards ? -lines.inner : lines.inner;
  int64_t at = backwards ? base + (lines.length - 1) * lines.inner : base;
  constexpr int ahead = Step::inputs == 1 ? 8 : 4;
  Step step;
  int64_t n = 0;
  for (; n + ahead <= lines.length; n += ahead, at += ahead * stride) {
    take_steps<ahead>(tensors, at, stride, step);
  }
#pragma unroll 1
  for (; n < lines.length; ++n, at += stride) take_steps<1>(tensors, at, stride, step);
}

template <typename Step, typename T>
__global__ void __launch_bounds__(256)
    lines_one_by_one_kernel(CornerPoolLines lines, LineTensors<T, Step::inputs> tensors) {
  FASTCV_SHARED(T, tile, [Step::inputs][32][33]);
  const bool backwards = lines.backwards != Step::from_the_end;
  const int column = threadIdx.x % 32;
  const int64_t first = int64_t{blockIdx.x} * 32, chunks = ceil_div(lines.length, 32);
  Step step;
  for (int64_t n = 0; n < chunks; ++n) {
    const int64_t start = (backwards ? chunks - 1 - n : n) * 32;
    const int count = static_cast<int>(lines.length - start < 32 ? lines.length - start : 32);
    for (int row = threadIdx.x / 32; row < 32; row += 8) {
      if (first + row >= lines.outer || column >= count) continue;
      const int64_t at = (first + row) * lines.length + start + column;
#pragma unroll
      for (int k = 0; k < Step::inputs; ++k) tile[k][row][column] = tensors.in[k][at];
    }
    __syncthreads();
    if (threadIdx.x < 32 && first + threadIdx.x < lines.outer) {
      for (int i = 0; i < count; ++i) {
        const int pixel = backwards ? count - 1 - i : i;
        T in[Step::inputs];
#pragma unroll
        for (int k = 0; k < Step::inputs; ++k) in[k] = tile[k][threadIdx.x][pixel];
        tile[0][threadIdx.x][pixel] = step.next(in);
      }
    }
    __syncthreads();
    for (int row = threadIdx.x / 32; row < 32; row += 8) {
      if (first + row >= lines.outer || column >= count) continue;
      tensors.out[(first + row) * lines.length + start + column] = tile[0][row][column];
    }
    __syncthreads();
  }
}

template <typename Step, typename T>
void launch_lines(const CornerPoolLines& lines, const LineTensors<T, Step::inputs>& tensors,
                  cudaStream_t stream) {
  if (lines.inner == 1) {
    launch(lines_one_by_one_kernel<Step, T>, dim3(static_cast<unsigned>(ceil_div(lines.outer, 32))),
           dim3(256), 0, stream, lines, tensors);
  } else {
    const int64_t count = lines.outer * lines.inner;
    launch(lines_side_by_side_kernel<Step, T>, dim3(static_cast<unsigned>(ceil_div(count, 256))),
           dim3(256), 0, stream, lines, tensors);
  }
}

template <typename T>
void launch_corner_pool(const CornerPoolLines& lines, const T* input, T* output,
                        cudaStream_t stream) {
  launch_lines<PoolStep<T>, T>(lines, {{input}, output}, stream);
}

template <typename T>
void launch_corner_pool_backward(const CornerPoolLines& lines, const T* grad, const T* input,
                                 const T* output, T* grad_input, cudaStream_t stream) {
  launch_lines<UnpoolStep<T>, T>(lines, {{grad, input, output}, grad_input}, stream);
}

}  // namespace fastcv::cuda
