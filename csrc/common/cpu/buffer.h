// Uninitialised memory: what is written anyway need not be zeroed first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace fastcv {

template <typename T>
using Buffer = std::unique_ptr<T[]>;
template <typename T>
Buffer<T> make_buffer(int64_t n) {
  return std::make_unique_for_overwrite<T[]>(static_cast<size_t>(n));
}

}  // namespace fastcv
