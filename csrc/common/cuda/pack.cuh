// Neighbouring elements that are read or written at once.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/cuda/convert.cuh"
#include "common/cuda/launch.cuh"

namespace fastcv::cuda {

template <typename T, int size>
struct alignas(sizeof(T) * size) Pack {
  T item[size];
};

namespace pack_words {
template <int bytes>
struct Word;
template <>
struct Word<16> {
  using type = uint4;
};
template <>
struct Word<8> {
  using type = uint2;
};
template <>
struct Word<4> {
  using type = uint32_t;
};
template <>
struct Word<2> {
  using type = uint16_t;
};
template <>
struct Word<1> {
  using type = uint8_t;
};
}  // namespace pack_words

// The pack at p in one access. Read as a struct, elements that are used far apart are loaded one
// by one, each where it is used.
template <int size, typename T>
__device__ __forceinline__ Pack<T, size> load_pack(const T* p) {
  using Word = typename pack_words::Word<sizeof(T) * size>::type;
  const Word word = *reinterpret_cast<const Word*>(p);
  Pack<T, size> values;
  memcpy(&values, &word, sizeof(values));
  return values;
}

// The values to p, as elements, in one access.
template <int size, typename T>
__device__ __forceinline__ void store_pack(T* p, const acc_t<T>* values) {
  Pack<T, size> pack;
#pragma unroll
  for (int i = 0; i < size; ++i) pack.item[i] = narrow<T>(values[i]);
  *reinterpret_cast<Pack<T, size>*>(p) = pack;
}

}  // namespace fastcv::cuda
