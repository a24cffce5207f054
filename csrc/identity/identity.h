// identity(x) -> y: the template op. It copies its input, so that everything around a kernel can be
// read without the kernel in the way. Copy this folder to start an op.
//
//   x   [*] any shape and strides, float64 | float32 | float16 | bfloat16, CPU or CUDA
//   y   like x (shape, dtype, device, memory format), a fresh tensor: y[i] == x[i], NaN and inf
//   included
//
// Errors: x is not floating point.
// Gradient: dL/dx = identity(dL/dy), differentiable again. Deterministic on both devices.
// Autocast: runs in x's dtype.
#pragma once

#include <ATen/core/Tensor.h>

namespace fastcv {

// Called first in every launcher, so that no path can skip it.
void check_identity(const at::Tensor& x);

}  // namespace fastcv
