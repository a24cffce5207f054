// What the CUDA launchers of the RoI ops share.
#pragma once

#include <ATen/core/Tensor.h>

#include "common/cuda/cuda_launcher.h"
#include "common/host/memory_format.h"
#include "common/roi/roi_cuda.h"

namespace fastcv {

// rois, dense and in the type that the op computes in for T.
template <typename T>
at::Tensor rois_for(const at::Tensor& rois) {
  return rois.to(c10::CppTypeToScalarType<device_acc_t<T>>::value).contiguous();
}

inline cuda::Extent extent_of(const char* op, int64_t batch, int64_t channels, int64_t height,
                              int64_t width, int64_t bins) {
  constexpr int64_t limit = int64_t{1} << 31;
  TORCH_CHECK(channels < limit / bins, op, ": channels times bins must be below 2^31 on CUDA, got ",
              channels, " x ", bins);
  return {batch, channels, static_cast<int>(height), static_cast<int>(width)};
}

}  // namespace fastcv
