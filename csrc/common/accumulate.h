// What the device computes a dtype in: double for double, float for all others.
#pragma once

namespace fastcv::cuda {

template <typename T>
struct Accumulate {
  using type = float;
};
template <>
struct Accumulate<double> {
  using type = double;
};
template <typename T>
using acc_t = typename Accumulate<T>::type;

}  // namespace fastcv::cuda
