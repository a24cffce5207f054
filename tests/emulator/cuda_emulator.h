// CUDA C++ for a host compiler: what common/cuda/launch.cuh includes in place of CUDA's own headers
// when FASTCV_EMULATE_CUDA is defined. Kernels then run on the CPU, one fiber per CUDA thread
// (runtime/scheduler.cpp). README.md says what is emulated and what is not.
#pragma once

#include "emulator/device/atomics.h"
#include "emulator/device/half.h"
#include "emulator/device/math.h"
#include "emulator/device/vector_types.h"
#include "emulator/device/warp.h"
#include "emulator/runtime/runtime.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
// No __shared__: a kernel says FASTCV_SHARED.

#define threadIdx (::fastcv::emulator::current.thread)
#define blockIdx (::fastcv::emulator::current.block)
#define blockDim (::fastcv::emulator::current.block_size)
#define gridDim (::fastcv::emulator::current.grid_size)
constexpr int warpSize = 32;

using cudaStream_t = struct CUstream_st*;

// The address of a static is the variable's name to the runtime, of each instantiation its own.
#define FASTCV_SHARED(T, name, ...)                                           \
  using fastcv_type_of_##name = T __VA_ARGS__;                                \
  static char fastcv_key_of_##name;                                           \
  fastcv_type_of_##name& name =                                               \
      *static_cast<fastcv_type_of_##name*>(::fastcv::emulator::shared_memory( \
          &fastcv_key_of_##name, sizeof(fastcv_type_of_##name), #name))
#define FASTCV_DYN_SHARED(T, name) \
  T* name = static_cast<T*>(::fastcv::emulator::dynamic_shared_memory())

namespace fastcv {

template <typename... Params, typename... Args>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t,
            Args... args) {
  emulator::run_grid({reinterpret_cast<const void*>(kernel), grid, block, shared_bytes},
                     [=] { kernel(static_cast<Params>(args)...); });
}

}  // namespace fastcv
