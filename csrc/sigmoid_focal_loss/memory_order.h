// The order in which a tensor lies in memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace fastcv {

// Dimensions by falling stride: permuted by them, a dense tensor is contiguous.
inline std::vector<int64_t> memory_order(const at::Tensor& t) {
  std::vector<int64_t> dims(t.dim());
  std::iota(dims.begin(), dims.end(), 0);
  std::stable_sort(dims.begin(), dims.end(),
                   [&](int64_t a, int64_t b) { return t.stride(a) > t.stride(b); });
  return dims;
}

}  // namespace fastcv
