// Whether the processor itself multiplies bfloat16 (AVX512_BF16): a product takes half as long as
// in float32 then.
#pragma once

#include "common/cpu/cpu_isa.h"

namespace fastcv {

inline bool multiplies_bfloat16() {
#if defined(__x86_64__)
  static const bool does = cpu_isa() == Isa::avx512 && __builtin_cpu_supports("avx512bf16");
  return does;
#else
  return false;
#endif
}

}  // namespace fastcv
