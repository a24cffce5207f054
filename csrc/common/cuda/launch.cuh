// The thin layer between kernels and what runs them: nvcc and a GPU, or the host emulator.
//   FASTCV_SHARED(float, tile, [32][33]);     static shared memory
//   FASTCV_DYN_SHARED(float, scratch);        dynamic shared memory, sized at launch
//   launch(kernel, grid, block, shared_bytes, stream, arguments...);
#pragma once

#if defined(FASTCV_EMULATE_CUDA)
#include "emulator/cuda_emulator.h"
#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>

#include "common/cuda/dynamic_shared.h"

#define FASTCV_SHARED(T, name, ...) __shared__ T name __VA_ARGS__
#define FASTCV_DYN_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char fastcv_dyn_shared[]; \
  T* name = reinterpret_cast<T*>(fastcv_dyn_shared)

namespace fastcv {

template <typename... Params, typename... Args>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes,
            cudaStream_t stream, Args... args) {
  // A block gets more than 48 KiB of shared memory only on request, and static memory counts too.
  if (shared_bytes > 16 * 1024) {
    allow_dynamic_shared(reinterpret_cast<const void*>(kernel), shared_bytes);
  }
  // clang-format off
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Params>(args)...);
  // clang-format on
}

}  // namespace fastcv

#endif
