// CPU launcher: fixed blocks of elements, in the order of the inputs' memory.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <limits>
#include <vector>

#include "common/cpu/huge_pages.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "sigmoid_focal_loss/memory_order.h"
#include "sigmoid_focal_loss/sigmoid_focal_loss.h"

#define FASTCV_CPU_KERNEL "sigmoid_focal_loss/sigmoid_focal_loss_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"
#include "sigmoid_focal_loss/read_blocks.h"

namespace fastcv {
namespace {

constexpr int64_t block = 2048, grain = 16;  // elements; blocks that are worth a thread

int64_t blocks_of(int64_t n) { return ceil_div(n, block); }

// The arguments of one call, block by block.
template <typename Acc>
class Blocks {
 public:
  Blocks(const at::Tensor& inputs, const at::Tensor& targets,
         const std::optional<at::Tensor>& weight, at::IntArrayRef order)
      : n_(inputs.numel()), x_(inputs.permute(order)), t_(targets.permute(order)) {
    if (weight) w_.emplace(expand_leading(*weight, inputs.sizes()).permute(order));
  }

  // f(block, first element, elements, x, t, weight or null), on any thread.
  template <typename F>
  void for_each(F f) const {
    at::parallel_for(0, blocks_of(n_), grain, [&](int64_t first, int64_t last) {
      std::vector<Acc> buffer(3 * block);
      for (int64_t b = first; b < last; ++b) {
        const int64_t begin = b * block, count = std::min(block, n_ - begin);
        const Acc* x = x_.read(begin, count, buffer.data());
        const Acc* t = t_.read(begin, count, buffer.data() + block);
        const Acc* w = w_ ? w_->read(begin, count, buffer.data() + 2 * block) : nullptr;
        f(b, begin, count, x, t, w);
      }
    });
  }

 private:
  int64_t n_;
  BlockReader<Acc> x_, t_;
  std::optional<BlockReader<Acc>> w_;
};

// A block of results: in their place, or in a buffer to be rounded from.
template <typename T, typename Acc>
class BlockWriter {
 public:
  explicit BlockWriter(T* out) : out_(out) {}

  template <typename F>
  void write(int64_t begin, int64_t n, F f) const {
    if constexpr (std::is_same_v<T, Acc>) {
      f(out_ + begin);
    } else {
      Acc buffer[block];
      f(buffer);
      FASTCV_ISA_CALL(round_to<T, Acc>)(buffer, n, out_ + begin);
    }
  }

 private:
  T* out_;
};

at::Tensor sigmoid_focal_loss_cpu(const at::Tensor& inputs, const at::Tensor& targets, double alpha,
                                  double gamma, const std::optional<at::Tensor>& weight,
                                  bool reduce) {
  check_sigmoid_focal_loss(inputs, targets, alpha, gamma, weight, nullptr);
  const at::Tensor loss =
      reduce ? at::empty({}, inputs.options().dtype(wide_dtype(inputs))) : at::empty_like(inputs);
  dispatch_floating(inputs.scalar_type(), "sigmoid_focal_loss", "inputs", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Acc a = static_cast<Acc>(alpha), g = static_cast<Acc>(gamma);
    const auto kernel = gamma == 2 ? FASTCV_ISA_CALL(focal_loss<true, Acc>)
                                   : FASTCV_ISA_CALL(focal_loss<false, Acc>);
    const Blocks<Acc> blocks(inputs, targets, weight, memory_order(reduce ? inputs : loss));
    if (reduce) {
      std::vector<double> sums(blocks_of(inputs.numel()));
      blocks.for_each([&](int64_t b, int64_t, int64_t n, const Acc* x, const Acc* t, const Acc* w) {
        sums[b] = static_cast<double>(kernel(x, t, w, n, a, g, nullptr));
      });
      double total = 0;
      for (const double sum : sums) total += sum;
      *loss.mutable_data_ptr<Acc>() = static_cast<Acc>(total);
    } else {
      advise_huge_pages(loss);
      const BlockWriter<T, Acc> out(loss.mutable_data_ptr<T>());
      blocks.for_each(
          [&](int64_t, int64_t begin, int64_t n, const Acc* x, const Acc* t, const Acc* w) {
            out.write(begin, n, [&](Acc* results) { kernel(x, t, w, n, a, g, results); });
          });
    }
  });
  return loss;
}

at::Tensor sigmoid_focal_loss_backward_cpu(const at::Tensor& grad, const at::Tensor& inputs,
                                           const at::Tensor& targets, double alpha, double gamma,
                                           const std::optional<at::Tensor>& weight) {
  check_sigmoid_focal_loss(inputs, targets, alpha, gamma, weight, &grad);
  const at::Tensor grad_inputs = at::empty_like(inputs);
  advise_huge_pages(grad_inputs);
  dispatch_floating(inputs.scalar_type(), "sigmoid_focal_loss", "inputs", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Acc a = static_cast<Acc>(alpha), g = static_cast<Acc>(gamma);
    const auto kernel = gamma == 2 ? FASTCV_ISA_CALL(focal_loss_backward<true, Acc>)
                                   : FASTCV_ISA_CALL(focal_loss_backward<false, Acc>);
    const auto order = memory_order(grad_inputs);
    const Blocks<Acc> blocks(inputs, targets, weight, order);
    const bool one = grad.dim() == 0;
    const BlockReader<Acc> grads(one ? grad : grad.permute(order));
    const BlockWriter<T, Acc> out(grad_inputs.mutable_data_ptr<T>());
    blocks.for_each(
        [&](int64_t, int64_t begin, int64_t n, const Acc* x, const Acc* t, const Acc* w) {
          Acc buffer[block];
          const Acc* dy = one ? grads.read(0, 1, buffer) : grads.read(begin, n, buffer);
          out.write(begin, n,
                    [&](Acc* results) { kernel(dy, one ? 0 : 1, x, t, w, n, a, g, results); });
        });
  });
  return grad_inputs;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("sigmoid_focal_loss", sigmoid_focal_loss_cpu);
  m.impl("_sigmoid_focal_loss_backward", sigmoid_focal_loss_backward_cpu);
}

}  // namespace fastcv
