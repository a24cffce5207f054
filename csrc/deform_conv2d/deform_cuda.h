// What the CUDA launchers of both directions share.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "common/cuda_launcher.h"
#include "common/roi_launcher.h"
#include "deform_conv2d/deform_conv2d_kernel.h"

namespace fastcv {

// A dense tensor of images, NCHW or channels_last.
template <typename T>
cuda::Pixels<const device_t<T>> pixels(const at::Tensor& t) {
  return {device_ptr<T>(t), t.stride(0), t.stride(3), t.stride(1)};
}

template <typename T>
cuda::DeformPositions<device_t<T>> positions(const at::Tensor& offset,
                                             const std::optional<at::Tensor>& mask) {
  if (mask) return {strided<T>(offset), strided<T>(*mask)};
  return {strided<T>(offset), {nullptr, 0, 0, 0, 0}};
}

// Dense in the format that `empty_like` would choose: strides of dimensions of size 1 included, for
// a pixel's stride is read from the last one.
inline at::Tensor dense_images(const at::Tensor& t) {
  const auto format = t.suggest_memory_format();
  const at::Tensor dense = t.contiguous(format);
  const bool last = format == at::MemoryFormat::ChannelsLast;
  const int64_t c = t.size(1), h = t.size(2), w = t.size(3);
  if (last) return dense.as_strided(t.sizes(), {c * h * w, 1, w * c, c});
  return dense.as_strided(t.sizes(), {c * h * w, h * w, w, 1});
}

}  // namespace fastcv
