// Compiles one CPU kernel header once per instruction set, in namespaces of their own:
//
//   #define FASTCV_CPU_KERNEL "identity/identity_cpu_kernel.h"
//   #include "common/cpu/foreach_isa.h"
//   ...
//   FASTCV_ISA_CALL(identity<float>)(src, dst, n);   // the build that fits this machine
//
// The kernel header has no include guard, includes nothing (its standard headers are included
// before this file, so that their inline functions stay baseline code), and wraps itself in
// `namespace fastcv::FASTCV_ISA { ... }`. There it finds:
//   madd(a, b, c)         a * b + c, fused where the instruction set has it. Nothing else is ever
//                         fused: the project is compiled with -ffp-contract=off.
//   vec<T>, load, store   vectors of the instruction set's width: common/cpu/simd.h
//   vector_exp, _log      of vectors: common/cpu/vector_math.h
//   interleave            channels side by side: common/cpu/interleave.h
//   ceil_div, round_up    of whole numbers: common/host/ceil_div.h
//   FASTCV_VECTOR_BYTES   their width
//   FASTCV_ISA_AVX2       defined where AVX2 intrinsics may be used (AVX-512 includes it)
// The portable build is plain x86-64-v2 on x86 and NEON on aarch64.

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "common/cpu/cpu_isa.h"
#include "common/host/ceil_div.h"

#ifndef FASTCV_CPU_KERNEL
#error "define FASTCV_CPU_KERNEL before including common/cpu/foreach_isa.h"
#endif

#define FASTCV_ISA isa_portable
#define FASTCV_VECTOR_BYTES 16
#if defined(__aarch64__)
#define FASTCV_ISA_FMA
#endif
#ifndef FASTCV_TOOLS_PORTABLE
#define FASTCV_TOOLS_PORTABLE
#include "common/cpu/isa_tools.h"
#endif
#include FASTCV_CPU_KERNEL
#undef FASTCV_ISA
#undef FASTCV_VECTOR_BYTES
#undef FASTCV_ISA_FMA

#if defined(__x86_64__)
#define FASTCV_ISA_FMA
#define FASTCV_ISA_AVX2

#define FASTCV_ISA isa_avx2
#define FASTCV_VECTOR_BYTES 32
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#endif
#ifndef FASTCV_TOOLS_AVX2
#define FASTCV_TOOLS_AVX2
#include "common/cpu/isa_tools.h"
#endif
#include FASTCV_CPU_KERNEL
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef FASTCV_ISA
#undef FASTCV_VECTOR_BYTES

#define FASTCV_ISA isa_avx512
#define FASTCV_VECTOR_BYTES 64
#if defined(__clang__)
#pragma clang attribute push(                                                             \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2")
#endif
#ifndef FASTCV_TOOLS_AVX512
#define FASTCV_TOOLS_AVX512
#include "common/cpu/isa_tools.h"
#endif
#include FASTCV_CPU_KERNEL
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef FASTCV_ISA
#undef FASTCV_VECTOR_BYTES

#undef FASTCV_ISA_FMA
#undef FASTCV_ISA_AVX2
#endif

#undef FASTCV_CPU_KERNEL

#ifndef FASTCV_ISA_CALL
#if defined(__x86_64__)
#define FASTCV_ISA_CALL(...)                                              \
  (::fastcv::cpu_isa() == ::fastcv::Isa::avx512 ? isa_avx512::__VA_ARGS__ \
   : ::fastcv::cpu_isa() == ::fastcv::Isa::avx2 ? isa_avx2::__VA_ARGS__   \
                                                : isa_portable::__VA_ARGS__)
#else
#define FASTCV_ISA_CALL(...) (isa_portable::__VA_ARGS__)
#endif
#endif
