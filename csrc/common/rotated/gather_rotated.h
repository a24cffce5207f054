// Rotated boxes out of a tensor of any strides and dtype, ready for overlap tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "common/rotated/rotated.h"

namespace fastcv {

// out[i] is box number index_of(i).
template <typename T, typename Acc, typename IndexOf>
void gather_rotated(const at::Tensor& boxes, RotatedBox<Acc>* out, int64_t n, IndexOf index_of) {
  const T* data = boxes.const_data_ptr<T>();
  const int64_t row = boxes.stride(0), column = boxes.stride(1);
  for (int64_t i = 0; i < n; ++i) {
    const T* b = data + static_cast<int64_t>(index_of(i)) * row;
    const auto at = [&](int k) { return static_cast<Acc>(b[k * column]); };
    out[i] = rotated_box<Acc>(at(0), at(1), at(2), at(3), at(4));
  }
}

}  // namespace fastcv
