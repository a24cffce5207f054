// CPU launcher: a task is an instance.
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cstdint>
#include <tuple>

#include "common/cpu/huge_pages.h"
#include "common/host/accumulate.h"
#include "common/host/dispatch.h"
#include "proto_masks/proto_crop.h"
#include "proto_masks/proto_masks.h"

#define FASTCV_CPU_KERNEL "proto_masks/proto_masks_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"
#include "common/masks/encode_masks.h"
#include "common/masks/stretched_mask.h"

namespace fastcv {
namespace {

// The samples in a box, and a border of zeros around them, 1 wide.
template <typename Acc>
class ProtoMask : public StretchedMask<Acc> {
 public:
  template <typename T>
  void place(const T* prototypes, int64_t rows, int64_t columns, const Acc* coefficients,
             int64_t count, const Acc* box, int64_t height, int64_t width) {
    const ProtoCrop crop = proto_crop(box, samples_per_pixel<Acc>(rows, height),
                                      samples_per_pixel<Acc>(columns, width),
                                      static_cast<int32_t>(rows), static_cast<int32_t>(columns));
    this->rows_ = {static_cast<int32_t>(rows), static_cast<int32_t>(height), 0, crop.top - 1};
    this->columns_ = {static_cast<int32_t>(columns), static_cast<int32_t>(width), 0, crop.left - 1};
    const int64_t n = int64_t{crop.right} - crop.left, m = int64_t{crop.bottom} - crop.top;
    this->left = this->right = this->top = this->bottom = 0;
    if (n <= 0 || m <= 0) return;
    std::tie(this->left, this->right) = covered(this->columns_, n);
    std::tie(this->top, this->bottom) = covered(this->rows_, m);
    this->held_columns_ = n + 2;
    this->samples_.assign((m + 2) * (n + 2), Acc(0));
    for (int64_t y = 0; y < m; ++y) {
      FASTCV_ISA_CALL(combine_row<T, Acc>)
      (prototypes + (crop.top + y) * columns + crop.left, rows * columns, coefficients, count, n,
       &this->samples_[(y + 1) * (n + 2) + 1]);
    }
  }

 private:
  // The pixels that read one of the n samples in the box: of those held, 1 to n.
  static std::pair<int64_t, int64_t> covered(const MaskAxis& axis, int64_t n) {
    int64_t begin = 0;
    while (begin < axis.pixels && axis.tap<Acc>(begin).high < 1) ++begin;
    int64_t end = begin;
    while (end < axis.pixels && axis.tap<Acc>(end).low <= n) ++end;
    return {begin, end};
  }
};

// The op's arguments as the kernels take them.
struct ProtoInputs {
  at::Tensor prototypes, coefficients, boxes;

  ProtoInputs(const at::Tensor& prototypes, const at::Tensor& coefficients, const at::Tensor& boxes)
      : prototypes(prototypes.contiguous()) {
    const auto acc = prototypes.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    this->coefficients = coefficients.to(acc).contiguous();
    this->boxes = boxes.to(acc).contiguous();
  }

  int64_t count() const { return boxes.size(0); }

  // place(mask, i) for draw_masks and encode_masks.
  template <typename T>
  auto placer(int64_t height, int64_t width) const {
    const int64_t count = prototypes.size(0);
    const int64_t rows = prototypes.size(1), columns = prototypes.size(2);
    return [=, prototype = prototypes.const_data_ptr<T>(),
            coefficient = coefficients.const_data_ptr<acc_t<T>>(),
            box = boxes.const_data_ptr<acc_t<T>>()](ProtoMask<acc_t<T>>& mask, int64_t i) {
      mask.place(prototype, rows, columns, coefficient + i * count, count, box + i * 4, height,
                 width);
    };
  }
};

at::Tensor proto_masks_cpu(const at::Tensor& prototypes, const at::Tensor& coefficients,
                           const at::Tensor& boxes, int64_t height, int64_t width,
                           double threshold) {
  check_proto_masks(prototypes, coefficients, boxes, height, width, threshold);
  const at::Tensor masks =
      at::empty({boxes.size(0), height, width}, prototypes.options().dtype(at::kBool));
  if (masks.numel() == 0) return masks;
  advise_huge_pages(masks);
  const ProtoInputs inputs(prototypes, coefficients, boxes);
  dispatch_floating(prototypes.scalar_type(), "proto_masks", "prototypes", [&]<typename T>() {
    draw_masks<ProtoMask<acc_t<T>>>(inputs.count(), height, width, static_cast<acc_t<T>>(threshold),
                                    inputs.placer<T>(height, width),
                                    reinterpret_cast<uint8_t*>(masks.mutable_data_ptr<bool>()));
  });
  return masks;
}

std::tuple<at::Tensor, at::Tensor> proto_masks_rle_cpu(const at::Tensor& prototypes,
                                                       const at::Tensor& coefficients,
                                                       const at::Tensor& boxes, int64_t height,
                                                       int64_t width, double threshold) {
  check_proto_masks(prototypes, coefficients, boxes, height, width, threshold);
  const ProtoInputs inputs(prototypes, coefficients, boxes);
  return counts_and_ends(
      dispatch_floating(prototypes.scalar_type(), "proto_masks", "prototypes", [&]<typename T>() {
        return encode_masks<ProtoMask<acc_t<T>>>(inputs.count(), height, width,
                                                 static_cast<acc_t<T>>(threshold),
                                                 inputs.placer<T>(height, width));
      }));
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("proto_masks", proto_masks_cpu);
  m.impl("_proto_masks_rle", proto_masks_rle_cpu);
}

}  // namespace fastcv
