// Beside launch.cuh, so that nvcc compiles neither torch's error check nor the containers.
#include <c10/cuda/CUDAException.h>
#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <utility>

#include "common/cuda/dynamic_shared.h"

namespace fastcv {

void allow_dynamic_shared(const void* kernel, size_t bytes) {
  static std::mutex mutex;
  static std::map<std::pair<const void*, int>, size_t> allowed;
  int device = 0;
  C10_CUDA_CHECK(cudaGetDevice(&device));
  const std::lock_guard lock(mutex);
  size_t& now = allowed[{kernel, device}];
  if (bytes <= now) return;
  C10_CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(bytes)));
  now = bytes;
}

}  // namespace fastcv
