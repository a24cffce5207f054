// Weights and biases as what the CPU computes in.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

#include "common/cpu/buffer.h"
#include "common/host/accumulate.h"

namespace fastcv {

// The n elements of dense t, or n zeros where it is undefined; zeros behind them, so that a vector
// may be read from any element on.
template <typename T>
Buffer<acc_t<T>> widened(const at::Tensor& t, int64_t n) {
  constexpr int64_t slack = 32;
  auto out = make_buffer<acc_t<T>>(n + slack);
  std::fill_n(out.get(), n + slack, acc_t<T>(0));
  if (t.defined()) std::copy_n(t.const_data_ptr<T>(), n, out.get());
  return out;
}

}  // namespace fastcv
