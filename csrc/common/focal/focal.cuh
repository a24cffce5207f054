// Device arithmetic that the focal losses share.
#pragma once

#include <cmath>

#include "common/cuda/exponential.cuh"
#include "common/cuda/launch.cuh"
#include "common/host/accumulate.h"

namespace fastcv::cuda {

__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }

#if defined(FASTCV_EMULATE_CUDA)
inline float reciprocal(float x) { return 1 / x; }
inline float fast_exp2(float x) { return exp2f(x); }
#else
// One instruction each. Without `ftz` (subnormal numbers as zeros) it takes three or four more.
__device__ __forceinline__ float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#endif
__device__ __forceinline__ double reciprocal(double x) { return 1 / x; }

// e^-size for size >= 0. expf() spends six more instructions on the digits of size log2(e) that are
// rounded off here. That is a relative error of size 2^-24: much less than 16 bits can tell, and
// nothing to a sum, for where e^-size is small, so is what a loss has of it.
template <typename T>
__device__ __forceinline__ acc_t<T> decay(acc_t<T> size) {
  if constexpr (sizeof(T) == 2) {
    return fast_exp2(size * -1.44269504f);
  } else {
    return exponential(-size);
  }
}

__device__ __forceinline__ double log1p_of_unit(double x) { return log1p(x); }
// log(1 + x) for 0 <= x <= 1 as 2 atanh(x / (2 + x)): a third of log1pf's instructions.
__device__ __forceinline__ float log1p_of_unit(float x) {
  const float s = x * reciprocal(2.0f + x), z = s * s;
  float p = fmaf(0.2817465663f, z, 0.2796141803f);
  p = fmaf(p, z, 0.4002485275f);
  p = fmaf(p, z, 0.6666631699f);
  return fmaf(p, z, 2.0f) * s;
}

// The smallest normal number.
template <typename Acc>
__device__ __forceinline__ Acc min_normal() {
  return sizeof(Acc) == 4 ? Acc(1.17549435e-38f) : Acc(2.2250738585072014e-308);
}
template <typename Acc>
__device__ __forceinline__ Acc max_finite() {
  return sizeof(Acc) == 4 ? Acc(3.402823466e38f) : Acc(1.7976931348623157e308);
}

// q^gamma for 0 <= q <= 1; the usual gamma of 2 apart. 0^0 is 1.
template <typename Acc>
__device__ __forceinline__ Acc power(Acc q, Acc gamma) {
  return gamma == 2 ? q * q
                    : exponential(gamma * logarithm(q < min_normal<Acc>() ? min_normal<Acc>() : q));
}

}  // namespace fastcv::cuda
