// Autocast of the ops that run in the lower precision, as torch's convolutions do.
//   const Autocast cast(input);
//   return op.call(cast(input), cast(weight), cast(bias));   // below autocast
#pragma once

#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>

#include <optional>

namespace fastcv {

class Autocast {
 public:
  explicit Autocast(const at::Tensor& x)
      : below_(
            c10::DispatchKeySet({c10::DispatchKey::AutocastCPU, c10::DispatchKey::AutocastCUDA})),
        device_(x.device().type()),
        dtype_(at::autocast::get_autocast_dtype(device_)) {}

  at::Tensor operator()(const at::Tensor& x) const {
    return at::autocast::cached_cast(dtype_, x, device_);
  }
  std::optional<at::Tensor> operator()(const std::optional<at::Tensor>& x) const {
    return at::autocast::cached_cast(dtype_, x, device_);
  }

 private:
  c10::impl::ExcludeDispatchKeyGuard below_;
  c10::DeviceType device_;
  at::ScalarType dtype_;
};

}  // namespace fastcv
