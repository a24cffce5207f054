// Tensors as the kernels take them: a pointer and strides.
#pragma once

#include <cstdint>

namespace fastcv::cuda {

// A [N, C, H, W] tensor of any strides, in elements.
template <typename T>
struct Strided {
  T* data;
  int64_t n, c, h, w;
};

// Whether `size` neighbouring channels can be read or written at once everywhere.
template <int size, typename T>
bool can_pack(const Strided<T>& t, int64_t channels) {
  return t.c == 1 && channels % size == 0 && t.n % size == 0 && t.h % size == 0 &&
         t.w % size == 0 && reinterpret_cast<uintptr_t>(t.data) % (sizeof(T) * size) == 0;
}

}  // namespace fastcv::cuda
