// Device code and its launch, on raw pointers: nvcc compiles it into the extension, the host
// compiler into the emulator tests.
#pragma once

#include <cstdint>

#include "common/cuda/launch.cuh"
#include "common/host/ceil_div.h"
#include "identity/identity_kernel.h"

namespace fastcv::cuda {

template <typename T>
__global__ void identity_kernel(const T* __restrict__ x, T* __restrict__ y, int64_t n) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) y[i] = x[i];
}

template <typename T>
void launch_identity(const T* x, T* y, int64_t n, cudaStream_t stream) {
  if (n == 0) return;  // an empty grid is a launch error
  constexpr int threads = 256;
  const int64_t blocks = ceil_div(n, threads);
  launch(identity_kernel<T>, dim3(static_cast<unsigned>(blocks < 65536 ? blocks : 65536)),
         dim3(threads), 0, stream, x, y, n);
}

}  // namespace fastcv::cuda
