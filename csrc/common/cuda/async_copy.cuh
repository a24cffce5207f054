// From global to shared memory without a register in between, so that many copies can be on their
// way while a block computes. Needs compute capability 8.0. In the emulator a copy is done at once.
//   copy_async16(to, from, there);   // for each 16 bytes, both aligned to 16
//   commit_copies();                 // these are one group
//   wait_copies<1>();                // until at most one group is on its way; then __syncthreads()
#pragma once

#include <cstdint>
#include <cstring>

#include "common/cuda/launch.cuh"

namespace fastcv::cuda {

#if defined(FASTCV_EMULATE_CUDA)

// Zeros where not `there`; `from` is not read then, but must be a valid address.
inline void copy_async16(void* to, const void* from, bool there) {
  if (there) {
    memcpy(to, from, 16);
  } else {
    memset(to, 0, 16);
  }
}
inline void commit_copies() {}
template <int groups>
void wait_copies() {}

#else

__device__ __forceinline__ void copy_async16(void* to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                   static_cast<unsigned>(__cvta_generic_to_shared(to))),
               "l"(from), "r"(there ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int groups>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

#endif

}  // namespace fastcv::cuda
