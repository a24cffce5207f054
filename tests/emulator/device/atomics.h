// Atomic operations. Fibers give way only where the runtime says so, hence a plain read and write
// are atomic; the race detector hears of them through before_atomic alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "emulator/device/half.h"
#include "emulator/runtime/runtime.h"

namespace fastcv::emulator {

template <typename T>
__attribute__((no_sanitize("thread"), noinline)) T exchange_unseen(T* p, T value) {
  const T old = *p;
  *p = value;
  return old;
}
template <typename T>
__attribute__((no_sanitize("thread"), noinline)) T load_unseen(const T* p) {
  return *p;
}

// Inlined to the kernel's line, which a report can then name.
template <typename T, typename F>
inline __attribute__((always_inline)) T update(T* p, F new_value) {
  before_atomic(p, sizeof(T));
  return exchange_unseen(p, new_value(load_unseen(p)));
}

}  // namespace fastcv::emulator

#define FASTCV_ATOMIC(name, T, new_value)                                                          \
  inline __attribute__((always_inline)) T name(T* p, T value) {                                    \
    return ::fastcv::emulator::update(p,                                                           \
                                      [value]([[maybe_unused]] T old) -> T { return new_value; }); \
  }

FASTCV_ATOMIC(atomicAdd, int, old + value)
FASTCV_ATOMIC(atomicAdd, unsigned, old + value)
FASTCV_ATOMIC(atomicAdd, unsigned long long, old + value)
FASTCV_ATOMIC(atomicAdd, float, old + value)
FASTCV_ATOMIC(atomicAdd, double, old + value)
FASTCV_ATOMIC(atomicAdd, __half, __float2half_rn(__half2float(old) + __half2float(value)))
FASTCV_ATOMIC(atomicAdd, __nv_bfloat16,
              __float2bfloat16_rn(__bfloat162float(old) + __bfloat162float(value)))
FASTCV_ATOMIC(atomicAdd, __half2,
              __floats2half2_rn(__low2float(old) + __low2float(value),
                                __high2float(old) + __high2float(value)))
FASTCV_ATOMIC(atomicAdd, __nv_bfloat162,
              __floats2bfloat162_rn(__low2float(old) + __low2float(value),
                                    __high2float(old) + __high2float(value)))
FASTCV_ATOMIC(atomicSub, int, old - value)
FASTCV_ATOMIC(atomicSub, unsigned, old - value)
FASTCV_ATOMIC(atomicExch, float, value)

#define FASTCV_INTEGER_ATOMICS(T)                                                               \
  FASTCV_ATOMIC(atomicMax, T, std::max(old, value))                                             \
  FASTCV_ATOMIC(atomicMin, T, std::min(old, value))                                             \
  FASTCV_ATOMIC(atomicOr, T, old | value)                                                       \
  FASTCV_ATOMIC(atomicAnd, T, old& value)                                                       \
  FASTCV_ATOMIC(atomicXor, T, old ^ value)                                                      \
  FASTCV_ATOMIC(atomicExch, T, value)                                                           \
  inline __attribute__((always_inline)) T atomicCAS(T* p, T expected, T value) {                \
    return ::fastcv::emulator::update(p, [=](T old) { return old == expected ? value : old; }); \
  }
FASTCV_INTEGER_ATOMICS(int)
FASTCV_INTEGER_ATOMICS(unsigned)
FASTCV_INTEGER_ATOMICS(unsigned long long)
FASTCV_ATOMIC(atomicMax, long long, std::max(old, value))
FASTCV_ATOMIC(atomicMin, long long, std::min(old, value))

#undef FASTCV_INTEGER_ATOMICS
#undef FASTCV_ATOMIC
