// What the focal losses share.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/SmallVector.h>

#include <cmath>

#include "common/host/accumulate.h"
#include "common/host/checks.h"

namespace fastcv {

// What sums are returned in.
inline at::ScalarType wide_dtype(const at::Tensor& t) {
  return t.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

inline void check_gamma(const char* op, double gamma) {
  TORCH_CHECK(gamma >= 0 && std::isfinite(gamma), op, ": gamma must be a number >= 0, got ", gamma);
}

inline void check_real(const char* op, const at::Tensor& t, const char* name) {
  TORCH_CHECK(!t.is_complex(), op, ": ", name, " must be real, got ", t.scalar_type());
}

// A tensor whose dimensions are the first ones of `shape`, as a view of that shape.
inline at::Tensor expand_leading(const at::Tensor& t, at::IntArrayRef shape) {
  c10::SmallVector<int64_t, 8> sizes(t.sizes().begin(), t.sizes().end());
  sizes.resize(shape.size(), 1);
  return t.view(sizes).expand(shape);
}

inline void check_leading(const char* op, const at::Tensor& t, const char* name,
                          at::IntArrayRef shape) {
  bool fits = t.dim() <= static_cast<int64_t>(shape.size());
  for (int64_t d = 0; fits && d < t.dim(); ++d) fits = t.size(d) == 1 || t.size(d) == shape[d];
  TORCH_CHECK(fits, op, ": ", name, " must have the first dimensions of ", shape,
              ", each of that size or 1, got ", t.sizes());
}

}  // namespace fastcv
