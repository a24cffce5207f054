// CUDA launcher. The table is small at first, and made anew where it was too small; what it found
// is sorted by torch.
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "panoptic_counts/panoptic_counts.h"
#include "panoptic_counts/panoptic_counts_kernel.h"

namespace fastcv {
namespace {

constexpr int first_bits = 12, more_bits = 3;
constexpr int64_t few_probes = 64;

struct Tables {
  at::Tensor keys, counts;  // [images * 2^bits]
  int bits;
};

Tables fill_tables(const at::Tensor& predicted, const at::Tensor& target) {
  const int64_t images = predicted.size(0), pixels = predicted.size(1) * predicted.size(2);
  const auto options = predicted.options().dtype(at::kLong);
  for (int bits = first_bits;; bits += more_bits) {
    const int64_t slots = int64_t{1} << bits;
    const Tables tables{at::full({images * slots}, -1, options),
                        at::zeros({images * slots}, options), bits};
    const at::Tensor status = at::zeros({1}, options.dtype(at::kInt));
    // A table with more slots than pixels has one for every pair.
    const int64_t probes = slots > pixels ? slots : few_probes;
    const auto count = [&]<typename I>() {
      cuda::launch_panoptic_counts(
          predicted.const_data_ptr<I>(), target.const_data_ptr<I>(), images, pixels, bits, probes,
          reinterpret_cast<unsigned long long*>(tables.keys.mutable_data_ptr<int64_t>()),
          reinterpret_cast<unsigned long long*>(tables.counts.mutable_data_ptr<int64_t>()),
          status.mutable_data_ptr<int>(), c10::cuda::getCurrentCUDAStream());
      C10_CUDA_KERNEL_LAUNCH_CHECK();
    };
    if (predicted.scalar_type() == at::kInt) {
      count.template operator()<int32_t>();
    } else {
      count.template operator()<int64_t>();
    }
    const int refused = status.item<int>();
    if (refused & cuda::id_is_refused) refuse_panoptic_ids();
    if (refused == 0) return tables;
  }
}

std::tuple<at::Tensor, at::Tensor> panoptic_counts_cuda(const at::Tensor& predicted,
                                                        const at::Tensor& target) {
  check_panoptic_counts(predicted, target);
  const c10::cuda::CUDAGuard device_guard(predicted.device());
  const auto options = predicted.options().dtype(at::kLong);
  if (predicted.numel() == 0) return {at::empty({0, 3}, options), at::empty({0}, options)};
  const at::ScalarType dtype = panoptic_dtype(predicted, target);
  const Tables tables =
      fill_tables(predicted.to(dtype).contiguous(), target.to(dtype).contiguous());
  const at::Tensor slots = at::nonzero(tables.counts).squeeze(1);  // by image
  const at::Tensor found = tables.keys.index_select(0, slots);
  const at::Tensor by_key = std::get<1>(at::sort(found, /*stable=*/true, 0, /*descending=*/false));
  const at::Tensor images = slots.index_select(0, by_key).bitwise_right_shift(tables.bits);
  const at::Tensor by_image =
      std::get<1>(at::sort(images, /*stable=*/true, 0, /*descending=*/false));
  const at::Tensor order = by_key.index_select(0, by_image);
  const at::Tensor keys = found.index_select(0, order);
  const at::Tensor pairs = at::stack({images.index_select(0, by_image),
                                      keys.bitwise_right_shift(32), keys.bitwise_and(0xffffffff)},
                                     1);
  return {pairs, tables.counts.index_select(0, slots.index_select(0, order))};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("panoptic_counts", panoptic_counts_cuda); }

}  // namespace fastcv
