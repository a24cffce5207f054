// Argument checks that several ops share. Every message names the op, the argument, what it must be
// and what it was; the checks run in every launcher, so no device and no caller can skip them.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cmath>

namespace fastcv {

// `shape` is what the reader should see, such as "[N, 4]".
inline void check_matrix(const at::Tensor& t, int64_t columns, const char* op, const char* name,
                         const char* shape) {
  TORCH_CHECK(t.dim() == 2 && t.sym_size(1) == columns, op, ": ", name, " must have shape ", shape,
              ", got ", t.sym_sizes());
}

inline void check_floating(const at::Tensor& t, const char* op, const char* name) {
  TORCH_CHECK(at::isFloatingType(t.scalar_type()), op, ": ", name,
              " must be float64, float32, float16 or bfloat16, got ", t.scalar_type());
}

inline void check_same_device(const at::Tensor& a, const char* a_name, const at::Tensor& b,
                              const char* b_name, const char* op) {
  TORCH_CHECK(a.device() == b.device(), op, ": ", a_name, " and ", b_name,
              " must be on the same device, got ", a.device(), " and ", b.device());
}

// A weight or bias beside its input: the same dtype, the same device.
inline void check_like(const at::Tensor& t, const char* name, const at::Tensor& like,
                       const char* like_name, const char* op) {
  TORCH_CHECK(t.scalar_type() == like.scalar_type(), op, ": ", name, " must have the dtype of ",
              like_name, ", ", like.scalar_type(), ", got ", t.scalar_type());
  check_same_device(like, like_name, t, name, op);
}

// (rows, columns)
inline void check_pair(at::IntArrayRef pair, int64_t least, const char* op, const char* name) {
  TORCH_CHECK(pair.size() == 2 && pair[0] >= least && pair[1] >= least, op, ": ", name,
              " must be two integers of at least ", least, ", got ", pair);
}

inline void check_not_nan(double value, const char* op, const char* name) {
  TORCH_CHECK(!std::isnan(value), op, ": ", name, " must be a number, got nan");
}

}  // namespace fastcv
