// Argument checks that several ops share: the op first, then what is checked and its name. Every
// message names the op, the argument, what it must be and what it was; the checks run in every
// launcher, so no device and no caller can skip them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cmath>

namespace fastcv {

inline void check_dimensions(const char* op, const at::Tensor& t, const char* name, int64_t dim) {
  TORCH_CHECK(t.dim() == dim, op, ": ", name, " must have ", dim, " dimensions, got shape ",
              t.sizes());
}

// `shape` is what the reader should see, such as "[N, 4]".
inline void check_matrix(const char* op, const at::Tensor& t, const char* name, int64_t columns,
                         const char* shape) {
  TORCH_CHECK(t.dim() == 2 && t.sym_size(1) == columns, op, ": ", name, " must have shape ", shape,
              ", got ", t.sym_sizes());
}

inline void check_floating(const char* op, const at::Tensor& t, const char* name) {
  TORCH_CHECK(at::isFloatingType(t.scalar_type()), op, ": ", name,
              " must be float64, float32, float16 or bfloat16, got ", t.scalar_type());
}

inline void check_same_device(const char* op, const at::Tensor& a, const char* a_name,
                              const at::Tensor& b, const char* b_name) {
  TORCH_CHECK(a.device() == b.device(), op, ": ", a_name, " and ", b_name,
              " must be on the same device, got ", a.device(), " and ", b.device());
}

// A weight or bias beside its input: the same dtype, the same device.
inline void check_like(const char* op, const at::Tensor& t, const char* name,
                       const at::Tensor& like, const char* like_name) {
  TORCH_CHECK(t.scalar_type() == like.scalar_type(), op, ": ", name, " must have the dtype of ",
              like_name, ", ", like.scalar_type(), ", got ", t.scalar_type());
  check_same_device(op, like, like_name, t, name);
}

// (rows, columns)
inline void check_pair(const char* op, at::IntArrayRef pair, const char* name, int64_t min) {
  TORCH_CHECK(pair.size() == 2 && pair[0] >= min && pair[1] >= min, op, ": ", name,
              " must be two integers of at least ", min, ", got ", pair);
}

inline void check_not_nan(const char* op, double value, const char* name) {
  TORCH_CHECK(!std::isnan(value), op, ": ", name, " must be a number, got nan");
}

}  // namespace fastcv
