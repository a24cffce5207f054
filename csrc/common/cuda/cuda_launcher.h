// What every CUDA launcher needs: the current stream, a guard for the tensors' device, and torch's
// dtypes as CUDA's.
#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "common/cuda/cuda_types.h"
#include "common/host/dispatch.h"

namespace fastcv {

// CUDA's name for a C++ element type of torch.
template <typename T>
struct DeviceType {
  using type = T;
};
template <>
struct DeviceType<c10::Half> {
  using type = __half;
};
template <>
struct DeviceType<c10::BFloat16> {
  using type = __nv_bfloat16;
};
template <typename T>
using device_t = typename DeviceType<T>::type;

template <typename T>
const device_t<T>* device_ptr(const at::Tensor& t) {
  return reinterpret_cast<const device_t<T>*>(t.const_data_ptr<T>());
}
template <typename T>
device_t<T>* mutable_device_ptr(const at::Tensor& t) {
  return reinterpret_cast<device_t<T>*>(t.mutable_data_ptr<T>());
}

}  // namespace fastcv
