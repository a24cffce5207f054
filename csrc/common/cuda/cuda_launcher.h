// What every CUDA launcher needs: the current stream, a guard for the tensors' device, torch's
// dtypes as CUDA's, and tensors as the kernels take them.
#pragma once

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "common/cuda/cuda_types.h"
#include "common/cuda/strided.h"
#include "common/host/accumulate.h"
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
// What it is computed in on the device.
template <typename T>
using device_acc_t = acc_t<device_t<T>>;

template <typename T>
const device_t<T>* device_ptr(const at::Tensor& t) {
  return reinterpret_cast<const device_t<T>*>(t.const_data_ptr<T>());
}
template <typename T>
device_t<T>* mutable_device_ptr(const at::Tensor& t) {
  return reinterpret_cast<device_t<T>*>(t.mutable_data_ptr<T>());
}

// [N, C, H, W] of any strides.
template <typename T>
cuda::Strided<const device_t<T>> strided(const at::Tensor& t) {
  return {device_ptr<T>(t), t.stride(0), t.stride(1), t.stride(2), t.stride(3)};
}
template <typename T>
cuda::Strided<device_t<T>> mutable_strided(const at::Tensor& t) {
  return {mutable_device_ptr<T>(t), t.stride(0), t.stride(1), t.stride(2), t.stride(3)};
}

}  // namespace fastcv
