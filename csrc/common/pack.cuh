// Neighbouring elements that are read or written at once.
#pragma once

namespace fastcv::cuda {

template <typename T, int size>
struct alignas(sizeof(T) * size) Pack {
  T item[size];
};

}  // namespace fastcv::cuda
