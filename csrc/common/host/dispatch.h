// From a tensor's dtype to the C++ type a kernel is instantiated for.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Exception.h>
#include <c10/util/Half.h>

namespace fastcv {

// Calls f.operator()<T>() with the C++ type of `dtype`.
//   dispatch_floating(x.scalar_type(), "identity", "x", [&]<typename T>() { kernel<T>(...); });
template <typename F>
decltype(auto) dispatch_floating(at::ScalarType dtype, const char* op, const char* name, F&& f) {
  switch (dtype) {
    case at::kDouble:
      return f.template operator()<double>();
    case at::kFloat:
      return f.template operator()<float>();
    case at::kHalf:
      return f.template operator()<c10::Half>();
    case at::kBFloat16:
      return f.template operator()<c10::BFloat16>();
    default:
      TORCH_CHECK(false, op, ": ", name, " must be float64, float32, float16 or bfloat16, got ",
                  dtype);
  }
}

}  // namespace fastcv
