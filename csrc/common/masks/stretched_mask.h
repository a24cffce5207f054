// A small mask stretched over pixels of a picture, on the CPU. What includes it has included
// common/cpu/foreach_isa.h with a kernel that includes mask_cpu_kernel.h.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "common/masks/mask_tap.h"

namespace fastcv {

// Samples stretched over pixels, along x or y.
struct MaskAxis {
  int32_t samples;       // of the whole mask
  int32_t pixels;        // that they are stretched over
  int32_t first_pixel;   // of those, in the picture
  int32_t first_sample;  // of the part of the mask that is held

  template <typename Acc>
  MaskTap<Acc> tap(int64_t pixel) const {
    const Acc ratio = static_cast<Acc>(samples) / static_cast<Acc>(pixels);
    MaskTap<Acc> at = mask_tap(static_cast<int32_t>(pixel) - first_pixel, samples, ratio);
    at.low -= first_sample, at.high -= first_sample;
    return at;
  }
};

// place() is the subclass's; then stretch() some columns, and ask for their rows.
template <typename Acc>
class StretchedMask {
 public:
  // The part of the picture that the mask covers; empty where left >= right or top >= bottom.
  int64_t left = 0, top = 0, right = 0, bottom = 0;

  bool empty() const { return left >= right || top >= bottom; }

  // n columns from `begin` on.
  void stretch(int64_t begin, int64_t n) {
    n_ = n;
    low_.resize(n), high_.resize(n), low_weight_.resize(n), high_weight_.resize(n);
    for (int64_t i = 0; i < n; ++i) {
      const MaskTap<Acc> tap = columns_.template tap<Acc>(begin + i);
      low_[i] = tap.low, high_[i] = tap.high;
      low_weight_[i] = tap.low_weight, high_weight_[i] = tap.high_weight;
    }
    const auto rows = static_cast<int64_t>(samples_.size()) / held_columns_;
    stretched_.resize(rows * n);
    for (int64_t y = 0; y < rows; ++y) {
      FASTCV_ISA_CALL(stretch_row<Acc>)
      (&samples_[y * held_columns_], low_.data(), high_.data(), low_weight_.data(),
       high_weight_.data(), n, &stretched_[y * n]);
    }
  }

  // Which pixels of the picture's row y and of those columns are above the threshold: 1 or 0.
  void row(int64_t y, Acc threshold, uint8_t* pixels) const {
    const MaskTap<Acc> tap = rows_.template tap<Acc>(y);
    FASTCV_ISA_CALL(pixels_above<Acc>)
    (&stretched_[tap.low * n_], &stretched_[tap.high * n_], tap.low_weight, tap.high_weight,
     threshold, n_, pixels);
  }

 protected:
  MaskAxis rows_{}, columns_{};
  int64_t held_columns_ = 0;
  std::vector<Acc> samples_;  // held rows x held columns

 private:
  int64_t n_ = 0;
  std::vector<int32_t> low_, high_;
  std::vector<Acc> low_weight_, high_weight_, stretched_;
};

// The pixels of `count` masks, [count, height, width]; place(mask, i) places one.
template <typename Mask, typename Acc, typename Place>
void draw_masks(int64_t count, int64_t height, int64_t width, Acc threshold, const Place& place,
                uint8_t* drawn) {
  at::parallel_for(0, count, 1, [&](int64_t first, int64_t last) {
    Mask mask;
    for (int64_t i = first; i < last; ++i) {
      uint8_t* out = drawn + i * height * width;
      std::memset(out, 0, height * width);
      place(mask, i);
      if (mask.empty()) continue;
      mask.stretch(mask.left, mask.right - mask.left);
      for (int64_t y = mask.top; y < mask.bottom; ++y) {
        mask.row(y, threshold, out + y * width + mask.left);
      }
    }
  });
}

}  // namespace fastcv
