#include "common/cpu/cpu_isa.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace fastcv {
namespace {

Isa detect() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  return avx512 ? Isa::avx512 : avx2 ? Isa::avx2 : Isa::portable;
#else
  return Isa::portable;
#endif
}

Isa choose() {
  const Isa best = detect();
  const char* asked = std::getenv("FASTCV_ISA");
  if (asked == nullptr || *asked == '\0') return best;
  for (Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (std::string(asked) == isa_name(isa)) return std::min(isa, best);
  }
  TORCH_CHECK(false, "FASTCV_ISA must be portable, avx2 or avx512, got ", asked);
}

}  // namespace

Isa cpu_isa() {
  static const Isa isa = choose();
  return isa;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    default:
      return "portable";
  }
}

}  // namespace fastcv
