// Tensor cores behind one function, with a plain twin for the emulator.
//
// A warp multiplies a [16, 8 words] by b [8 words, 8] and adds to d [16, 8] in float32. A word is
// 32 bits along the inner dimension: two __half, two __nv_bfloat16, or one float rounded to TF32.
// With g = lane / 4 and i = lane % 4, a lane holds
//   a: words (g, i), (g + 8, i), (g, i + 4), (g + 8, i + 4)
//   b: words (i, g), (i + 4, g)
//   d: elements (g, 2i), (g, 2i + 1), (g + 8, 2i), (g + 8, 2i + 1)
// load_matrices() brings words into that order: of four matrices of 8 rows of 16 bytes in shared
// memory, lane l names row l % 8 of matrix l / 8, and words[m] is word lane % 4 of row lane / 4 of
// matrix m. So a is the matrices at (0, 0), (8, 0), (0, 4 words), (8, 4 words), and b of two
// neighbouring tiles, as rows of columns, those at (0, 0), (0, 4 words), (8, 0), (8, 4 words).
// load_matrices_transposed() is for matrices of 16-bit elements stored the other way round:
// words[m] is the elements lane / 4 of rows 2 (lane % 4) and 2 (lane % 4) + 1 of matrix m. Needs
// compute capability 8.0.
#pragma once

#include <cstdint>

#include "common/cuda/launch.cuh"

namespace fastcv::cuda {

#if defined(FASTCV_EMULATE_CUDA)

inline float add_products(__half, uint32_t a, uint32_t b, float sum) {
  for (int shift : {0, 16}) {
    sum += __half2float(__ushort_as_half(static_cast<unsigned short>(a >> shift))) *
           __half2float(__ushort_as_half(static_cast<unsigned short>(b >> shift)));
  }
  return sum;
}
inline float add_products(__nv_bfloat16, uint32_t a, uint32_t b, float sum) {
  for (int shift : {0, 16}) {
    sum += __bfloat162float(__ushort_as_bfloat16(static_cast<unsigned short>(a >> shift))) *
           __bfloat162float(__ushort_as_bfloat16(static_cast<unsigned short>(b >> shift)));
  }
  return sum;
}
inline float add_products(float, uint32_t a, uint32_t b, float sum) {
  return sum + __uint_as_float(a) * __uint_as_float(b);
}

template <typename T>
void mma_16x8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const int lane = threadIdx.x % 32, row = lane / 4, column = lane % 4 * 2;
  const auto both = [](uint32_t low, uint32_t high) {
    return static_cast<unsigned long long>(high) << 32 | low;
  };
  for (int i = 0; i < 4; ++i) {
    const auto left = __shfl_sync(0xffffffffu, both(a[0], a[1]), row * 4 + i);
    const auto right = __shfl_sync(0xffffffffu, both(a[2], a[3]), row * 4 + i);
    for (int j = 0; j < 2; ++j) {
      const auto of_column = __shfl_sync(0xffffffffu, both(b[0], b[1]), (column + j) * 4 + i);
      const auto low = static_cast<uint32_t>(of_column);
      const auto high = static_cast<uint32_t>(of_column >> 32);
      for (int half : {0, 1}) {
        float& sum = d[half * 2 + j];
        sum = add_products(T{}, static_cast<uint32_t>(left >> 32 * half), low, sum);
        sum = add_products(T{}, static_cast<uint32_t>(right >> 32 * half), high, sum);
      }
    }
  }
}

inline void load_matrices(uint32_t (&words)[4], const void* row) {
  const int lane = threadIdx.x % 32;
  for (int m = 0; m < 4; ++m) {
    const auto at =
        __shfl_sync(0xffffffffu, static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(row)),
                    m * 8 + lane / 4);
    words[m] = reinterpret_cast<const uint32_t*>(static_cast<uintptr_t>(at))[lane % 4];
  }
}

inline void load_matrices_transposed(uint32_t (&words)[4], const void* row) {
  const int lane = threadIdx.x % 32;
  const auto own = static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(row));
  for (int m = 0; m < 4; ++m) {
    words[m] = 0;
    for (int j = 0; j < 2; ++j) {
      const auto at = __shfl_sync(0xffffffffu, own, m * 8 + lane % 4 * 2 + j);
      const auto* elements = reinterpret_cast<const uint16_t*>(static_cast<uintptr_t>(at));
      words[m] |= static_cast<uint32_t>(elements[lane / 4]) << 16 * j;
    }
  }
}

inline float round_to_tf32(float x) {  // 10 bits of mantissa, to nearest, ties away from 0
  return __uint_as_float((__float_as_uint(x) + 0x1000u) & ~0x1fffu);
}

#else

template <typename T>
__device__ void mma_16x8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

#define FASTCV_MMA(T, instruction)                                                   \
  template <>                                                                        \
  __device__ __forceinline__ void mma_16x8<T>(float (&d)[4], const uint32_t (&a)[4], \
                                              const uint32_t (&b)[2]) {              \
    asm("mma.sync.aligned." instruction                                              \
        " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "                            \
        "{%0, %1, %2, %3};"                                                          \
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                             \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));         \
  }
FASTCV_MMA(__half, "m16n8k16.row.col.f32.f16.f16.f32")
FASTCV_MMA(__nv_bfloat16, "m16n8k16.row.col.f32.bf16.bf16.f32")
FASTCV_MMA(float, "m16n8k8.row.col.f32.tf32.tf32.f32")
#undef FASTCV_MMA

__device__ __forceinline__ void load_matrices(uint32_t (&words)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
               : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(uint32_t (&words)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row)))
               : "memory");
}

__device__ __forceinline__ float round_to_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return __uint_as_float(bits);
}

#endif

}  // namespace fastcv::cuda
