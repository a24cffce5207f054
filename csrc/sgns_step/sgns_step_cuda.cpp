// CUDA launcher. Sizes that only the device knows stay there: every pair that there may be has a
// slot, and those without one are sorted to the end.
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "sgns_step/sgns_step.h"
#include "sgns_step/sgns_step_kernel.h"

namespace fastcv {
namespace {

// The slots by key, and where each key begins: see sgns_step_kernel.h.
struct Sorted {
  at::Tensor pairs, order, starts;
};

Sorted sort_pairs(const SgnsText& text, int64_t shards, const at::TensorOptions& options) {
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
  const at::Tensor flags = at::empty({text.count}, options);
  cuda::launch_sgns_flags(text, flags.mutable_data_ptr<int64_t>(), stream);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  const at::Tensor sums = at::cumsum(flags, 0), chosen = at::empty({text.count}, options);
  cuda::launch_sgns_choose(text, flags.const_data_ptr<int64_t>(), sums.const_data_ptr<int64_t>(),
                           chosen.mutable_data_ptr<int64_t>(), stream);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  const int64_t slots = text.count * text.most_pairs();
  const at::Tensor keys = at::empty({slots}, options.dtype(at::kInt));
  const at::Tensor pairs = at::empty({slots}, options);
  cuda::launch_sgns_pairs(text, sums.const_data_ptr<int64_t>(), chosen.const_data_ptr<int64_t>(),
                          shards, keys.mutable_data_ptr<int32_t>(),
                          pairs.mutable_data_ptr<int64_t>(), stream);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  const auto [by_key, order] = at::sort(keys, /*stable=*/true, 0, /*descending=*/false);
  const at::Tensor each = at::arange(shards * shards + 1, keys.options());
  return {pairs, order, at::searchsorted(by_key, each)};
}

std::tuple<at::Tensor, at::Tensor> sgns_step_cuda(const at::Tensor& input, const at::Tensor& output,
                                                  const at::Tensor& words, const at::Tensor& keep,
                                                  const at::Tensor& noise, int64_t window,
                                                  int64_t negative, double lr, int64_t seed,
                                                  int64_t position, int64_t shards) {
  check_sgns_step(input, output, words, keep, noise, window, negative, shards);
  const c10::cuda::CUDAGuard device_guard(input.device());
  const auto whole = words.options(), real = whole.dtype(at::kDouble);
  if (words.numel() == 0 || input.size(0) == 0) return {at::zeros({}, real), at::zeros({}, whole)};
  const at::Tensor w = words.contiguous(), p = keep.contiguous(), table = noise.contiguous();
  const SgnsText text = sgns_text(w, p, table, window, negative, seed, position);
  const Sorted sorted = sort_pairs(text, shards, whole);
  const at::Tensor losses = at::empty({shards * shards}, real);
  const at::Tensor errors = at::empty({shards, text.most_pairs()}, input.options());
  const auto train = [&]<typename T>() {
    for (int64_t round = 0; round < shards; ++round) {
      cuda::launch_sgns_round<T>(
          round, shards, text.most_pairs(), sorted.order.const_data_ptr<int64_t>(),
          sorted.starts.const_data_ptr<int64_t>(), sorted.pairs.const_data_ptr<int64_t>(),
          input.mutable_data_ptr<T>(), input.stride(0), output.mutable_data_ptr<T>(),
          output.stride(0), input.size(1), static_cast<T>(lr), errors.mutable_data_ptr<T>(),
          losses.mutable_data_ptr<double>(), c10::cuda::getCurrentCUDAStream());
      C10_CUDA_KERNEL_LAUNCH_CHECK();
    }
  };
  if (input.scalar_type() == at::kFloat) {
    train.template operator()<float>();
  } else {
    train.template operator()<double>();
  }
  return {losses.sum(), sorted.starts.select(0, shards * shards).clone()};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("sgns_step", sgns_step_cuda); }

}  // namespace fastcv
