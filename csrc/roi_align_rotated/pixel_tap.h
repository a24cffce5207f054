#pragma once

#include <cstdint>

namespace fastcv {

// What a sample takes from one pixel.
template <typename T>
struct PixelTap {
  int64_t offset;  // from the image's first pixel
  int64_t row;
  T weight;
};

}  // namespace fastcv
