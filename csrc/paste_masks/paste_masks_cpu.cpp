// CPU launcher: a task is a mask.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "common/cpu/huge_pages.h"
#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "paste_masks/coco_runs.h"
#include "paste_masks/paste_masks.h"
#include "paste_masks/pasted_box.h"

#define FASTCV_CPU_KERNEL "paste_masks/paste_masks_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// One mask on the picture: place() it, stretch() some columns, and ask for their rows.
template <typename Acc>
class PastedMask {
 public:
  // The part of the picture that the mask covers; empty where left >= right or top >= bottom.
  int64_t left = 0, top = 0, right = 0, bottom = 0;

  bool empty() const { return left >= right || top >= bottom; }

  template <typename T>
  void place(const T* mask, int64_t side, const Acc* box, int64_t height, int64_t width) {
    side_ = static_cast<int32_t>(side + 2);
    box_ = pasted_box(box, mask_growth<Acc>(side));
    left = std::max(box_.left, 0), right = std::min<int64_t>(box_.left + box_.width, width);
    top = std::max(box_.top, 0), bottom = std::min<int64_t>(box_.top + box_.height, height);
    if (empty()) return;
    samples_.assign(int64_t{side_} * side_, Acc(0));
    for (int64_t y = 0; y < side; ++y) {
      std::copy_n(mask + y * side, side, &samples_[(y + 1) * side_ + 1]);
    }
  }

  // n columns from `begin` on.
  void stretch(int64_t begin, int64_t n) {
    n_ = n;
    low_.resize(n), high_.resize(n), low_weight_.resize(n), high_weight_.resize(n);
    const Acc ratio = static_cast<Acc>(side_) / static_cast<Acc>(box_.width);
    for (int64_t i = 0; i < n; ++i) {
      const MaskTap<Acc> tap = mask_tap(static_cast<int32_t>(begin + i - box_.left), side_, ratio);
      low_[i] = tap.low, high_[i] = tap.high;
      low_weight_[i] = tap.low_weight, high_weight_[i] = tap.high_weight;
    }
    stretched_.resize(side_ * n);
    for (int64_t y = 0; y < side_; ++y) {
      FASTCV_ISA_CALL(stretch_row<Acc>)
      (&samples_[y * side_], low_.data(), high_.data(), low_weight_.data(), high_weight_.data(), n,
       &stretched_[y * n]);
    }
  }

  // Which pixels of the picture's row y and of those columns are above the threshold: 1 or 0.
  void row(int64_t y, Acc threshold, uint8_t* pixels) const {
    const Acc ratio = static_cast<Acc>(side_) / static_cast<Acc>(box_.height);
    const MaskTap<Acc> tap = mask_tap(static_cast<int32_t>(y - box_.top), side_, ratio);
    FASTCV_ISA_CALL(pixels_above<Acc>)
    (&stretched_[tap.low * n_], &stretched_[tap.high * n_], tap.low_weight, tap.high_weight,
     threshold, n_, pixels);
  }

 private:
  int32_t side_ = 0;  // with the border
  int64_t n_ = 0;
  PastedBox box_{};
  std::vector<int32_t> low_, high_;
  std::vector<Acc> low_weight_, high_weight_, samples_, stretched_;
};

template <typename T>
void paste(const at::Tensor& masks, const at::Tensor& boxes, int64_t height, int64_t width,
           double threshold, uint8_t* pasted) {
  using Acc = acc_t<T>;
  const int64_t side = masks.size(1);
  at::parallel_for(0, masks.size(0), 1, [&](int64_t first, int64_t last) {
    PastedMask<Acc> mask;
    for (int64_t i = first; i < last; ++i) {
      uint8_t* out = pasted + i * height * width;
      std::memset(out, 0, height * width);
      mask.place(masks.const_data_ptr<T>() + i * side * side, side,
                 boxes.const_data_ptr<Acc>() + i * 4, height, width);
      if (mask.empty()) continue;
      mask.stretch(mask.left, mask.right - mask.left);
      for (int64_t y = mask.top; y < mask.bottom; ++y) {
        mask.row(y, static_cast<Acc>(threshold), out + y * width + mask.left);
      }
    }
  });
}

// The pixels of neighbouring columns in one row, as bytes and eight at a time.
constexpr int64_t columns_at_once = 64;
using RowOfBytes = std::array<uint8_t, columns_at_once>;
using RowOfWords = std::array<uint64_t, columns_at_once / 8>;

template <typename Acc>
std::string encode(PastedMask<Acc>& mask, int64_t height, int64_t width, Acc threshold) {
  CocoRuns runs;
  std::array<std::vector<int64_t>, columns_at_once> changes;  // rows, by column
  for (int64_t begin = mask.left; begin < mask.right && !mask.empty(); begin += columns_at_once) {
    const int64_t n = std::min(columns_at_once, mask.right - begin);
    mask.stretch(begin, n);
    RowOfWords above{};
    const auto compare_with_above = [&](int64_t y, const RowOfBytes& pixels) {
      const auto here = std::bit_cast<RowOfWords>(pixels);
      for (size_t word = 0; word < here.size(); ++word) {
        // The lowest byte is the first column.
        for (uint64_t other = here[word] ^ above[word]; other != 0; other &= other - 1) {
          changes[8 * word + std::countr_zero(other) / 8].push_back(y);
        }
      }
      above = here;
    };
    RowOfBytes pixels{};
    for (int64_t y = mask.top; y < mask.bottom; ++y) {
      mask.row(y, threshold, pixels.data());
      compare_with_above(y, pixels);
    }
    compare_with_above(mask.bottom, RowOfBytes{});
    for (int64_t column = 0; column < n; ++column) {
      for (const int64_t y : changes[column]) runs.change_at((begin + column) * height + y);
      changes[column].clear();
    }
  }
  return runs.counts(height * width);
}

template <typename T>
std::vector<std::string> encode_all(const at::Tensor& masks, const at::Tensor& boxes,
                                    int64_t height, int64_t width, double threshold) {
  using Acc = acc_t<T>;
  const int64_t side = masks.size(1);
  std::vector<std::string> counts(masks.size(0));
  at::parallel_for(0, masks.size(0), 1, [&](int64_t first, int64_t last) {
    PastedMask<Acc> mask;
    for (int64_t i = first; i < last; ++i) {
      mask.place(masks.const_data_ptr<T>() + i * side * side, side,
                 boxes.const_data_ptr<Acc>() + i * 4, height, width);
      counts[i] = encode(mask, height, width, static_cast<Acc>(threshold));
    }
  });
  return counts;
}

at::Tensor boxes_like(const at::Tensor& masks, const at::Tensor& boxes) {
  return boxes.to(masks.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous();
}

at::Tensor paste_masks_cpu(const at::Tensor& masks, const at::Tensor& boxes, int64_t height,
                           int64_t width, double threshold) {
  check_paste_masks(masks, boxes, height, width, threshold);
  const at::Tensor pasted =
      at::empty({masks.size(0), height, width}, masks.options().dtype(at::kBool));
  if (pasted.numel() == 0) return pasted;
  advise_huge_pages(pasted);
  dispatch_floating(masks.scalar_type(), "paste_masks", "masks", [&]<typename T>() {
    paste<T>(masks.contiguous(), boxes_like(masks, boxes), height, width, threshold,
             reinterpret_cast<uint8_t*>(pasted.mutable_data_ptr<bool>()));
  });
  return pasted;
}

std::tuple<at::Tensor, at::Tensor> paste_masks_rle_cpu(const at::Tensor& masks,
                                                       const at::Tensor& boxes, int64_t height,
                                                       int64_t width, double threshold) {
  check_paste_masks(masks, boxes, height, width, threshold);
  const std::vector<std::string> all =
      dispatch_floating(masks.scalar_type(), "paste_masks", "masks", [&]<typename T>() {
        return encode_all<T>(masks.contiguous(), boxes_like(masks, boxes), height, width,
                             threshold);
      });
  const at::Tensor ends = at::empty({masks.size(0)}, masks.options().dtype(at::kLong));
  int64_t bytes = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    bytes += static_cast<int64_t>(all[i].size());
    ends.mutable_data_ptr<int64_t>()[i] = bytes;
  }
  const at::Tensor counts = at::empty({bytes}, masks.options().dtype(at::kByte));
  auto* out = counts.mutable_data_ptr<uint8_t>();
  for (const std::string& text : all) out = std::copy(text.begin(), text.end(), out);
  return {counts, ends};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("paste_masks", paste_masks_cpu);
  m.impl("_paste_masks_rle", paste_masks_rle_cpu);
}

}  // namespace fastcv
