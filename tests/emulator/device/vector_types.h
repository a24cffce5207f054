// CUDA's vector types, with CUDA's alignment.
#pragma once

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#define FASTCV_VECTOR_TYPES(T, name)                                            \
  struct alignas(2 * sizeof(T)) name##2 { T x, y; };                            \
  struct alignas(sizeof(T) < 8 ? 4 * sizeof(T) : 16) name##4 { T x, y, z, w; }; \
  constexpr name##2 make_##name##2(T x, T y) { return {x, y}; }                 \
  constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
FASTCV_VECTOR_TYPES(signed char, char)
FASTCV_VECTOR_TYPES(unsigned char, uchar)
FASTCV_VECTOR_TYPES(short, short)
FASTCV_VECTOR_TYPES(unsigned short, ushort)
FASTCV_VECTOR_TYPES(int, int)
FASTCV_VECTOR_TYPES(unsigned, uint)
FASTCV_VECTOR_TYPES(long long, longlong)
FASTCV_VECTOR_TYPES(unsigned long long, ulonglong)
FASTCV_VECTOR_TYPES(float, float)
FASTCV_VECTOR_TYPES(double, double)
#undef FASTCV_VECTOR_TYPES
