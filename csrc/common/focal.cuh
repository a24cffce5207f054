// Device arithmetic that the focal losses share.
#pragma once

#include <cmath>

#include "common/launch.cuh"

namespace fastcv::cuda {

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }

__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }

__device__ __forceinline__ double log1p_of_unit(double x) { return log1p(x); }
// log(1 + x) for 0 <= x <= 1 as 2 atanh(x / (2 + x)): a third of log1pf's instructions.
__device__ __forceinline__ float log1p_of_unit(float x) {
  const float s = __fdividef(x, 2.0f + x), z = s * s;
  float p = fmaf(0.2817465663f, z, 0.2796141803f);
  p = fmaf(p, z, 0.4002485275f);
  p = fmaf(p, z, 0.6666631699f);
  return fmaf(p, z, 2.0f) * s;
}

__device__ __forceinline__ float quotient(float a, float b) { return __fdividef(a, b); }
__device__ __forceinline__ double quotient(double a, double b) { return a / b; }

// The smallest normal number.
template <typename Acc>
__device__ __forceinline__ Acc least() {
  return sizeof(Acc) == 4 ? Acc(1.17549435e-38f) : Acc(2.2250738585072014e-308);
}
template <typename Acc>
__device__ __forceinline__ Acc most() {
  return sizeof(Acc) == 4 ? Acc(3.402823466e38f) : Acc(1.7976931348623157e308);
}

// q^gamma for 0 <= q <= 1; the usual gamma of 2 apart. 0^0 is 1.
template <typename Acc>
__device__ __forceinline__ Acc power(Acc q, Acc gamma) {
  return gamma == 2 ? q * q : exponential(gamma * logarithm(q < least<Acc>() ? least<Acc>() : q));
}

}  // namespace fastcv::cuda
