// Tensors as ctypes hands them over: data, strides in elements.
#pragma once

#include <cstdint>

#include "common/roi/roi_cuda.h"

namespace fastcv::emulated {

template <typename T>
cuda::Strided<T> strided(T* data, const int64_t* strides) {
  return {data, strides[0], strides[1], strides[2], strides[3]};
}

inline cuda::Extent extent(const int64_t* shape) {
  return {shape[0], shape[1], static_cast<int>(shape[2]), static_cast<int>(shape[3])};
}

}  // namespace fastcv::emulated
