// CPU launcher: a task is a mask.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "common/cpu/huge_pages.h"
#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "paste_masks/paste_masks.h"
#include "paste_masks/pasted_box.h"

#define FASTCV_CPU_KERNEL "common/masks/mask_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"
#include "common/masks/encode_masks.h"
#include "common/masks/stretched_mask.h"

namespace fastcv {
namespace {

// A mask with a border of zeros, 1 wide.
template <typename Acc>
class PastedMask : public StretchedMask<Acc> {
 public:
  template <typename T>
  void place(const T* mask, int64_t side, const Acc* box, int64_t height, int64_t width) {
    const auto grown = static_cast<int32_t>(side + 2);
    const PastedBox at = pasted_box(box, mask_growth<Acc>(side));
    this->left = std::max(at.left, 0), this->top = std::max(at.top, 0);
    this->right = std::min<int64_t>(at.left + at.width, width);
    this->bottom = std::min<int64_t>(at.top + at.height, height);
    if (this->empty()) return;
    this->rows_ = {grown, at.height, at.top, 0};
    this->columns_ = {grown, at.width, at.left, 0};
    this->held_columns_ = grown;
    this->samples_.assign(int64_t{grown} * grown, Acc(0));
    for (int64_t y = 0; y < side; ++y) {
      std::copy_n(mask + y * side, side, &this->samples_[(y + 1) * grown + 1]);
    }
  }
};

// place(mask, i) for draw_masks and encode_masks.
template <typename T>
auto placer(const at::Tensor& masks, const at::Tensor& boxes, int64_t height, int64_t width) {
  const int64_t side = masks.size(1);
  return [=, data = masks.const_data_ptr<T>(), box = boxes.const_data_ptr<acc_t<T>>()](
             PastedMask<acc_t<T>>& mask, int64_t i) {
    mask.place(data + i * side * side, side, box + i * 4, height, width);
  };
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
  const at::Tensor dense = masks.contiguous(), corners = boxes_like(masks, boxes);
  dispatch_floating(masks.scalar_type(), "paste_masks", "masks", [&]<typename T>() {
    draw_masks<PastedMask<acc_t<T>>>(masks.size(0), height, width, static_cast<acc_t<T>>(threshold),
                                     placer<T>(dense, corners, height, width),
                                     reinterpret_cast<uint8_t*>(pasted.mutable_data_ptr<bool>()));
  });
  return pasted;
}

std::tuple<at::Tensor, at::Tensor> paste_masks_rle_cpu(const at::Tensor& masks,
                                                       const at::Tensor& boxes, int64_t height,
                                                       int64_t width, double threshold) {
  check_paste_masks(masks, boxes, height, width, threshold);
  const at::Tensor dense = masks.contiguous(), corners = boxes_like(masks, boxes);
  return counts_and_ends(
      dispatch_floating(masks.scalar_type(), "paste_masks", "masks", [&]<typename T>() {
        return encode_masks<PastedMask<acc_t<T>>>(masks.size(0), height, width,
                                                  static_cast<acc_t<T>>(threshold),
                                                  placer<T>(dense, corners, height, width));
      }));
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("paste_masks", paste_masks_cpu);
  m.impl("_paste_masks_rle", paste_masks_rle_cpu);
}

}  // namespace fastcv
