// CPU launcher: rows in groups of 16, groups in fixed blocks.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "common/cpu/huge_pages.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "softmax_focal_loss/softmax_focal_loss.h"
#include "softmax_focal_loss/softmax_rows.h"

#define FASTCV_CPU_KERNEL "softmax_focal_loss/softmax_focal_loss_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

template <typename Acc>
RowReader<Acc> rows_from(const at::Tensor& t, int64_t row) {
  RowReader<Acc> reader{nullptr, t.stride(0), t.stride(1), nullptr};
  dispatch_floating(t.scalar_type(), "softmax_focal_loss", "inputs", [&]<typename T>() {
    reader.data = t.const_data_ptr<T>() + row * t.stride(0);
    reader.load = FASTCV_ISA_CALL(load_classes<T, Acc>);
  });
  return reader;
}

template <typename T>
RowWriter<acc_t<T>> rows_to(const at::Tensor& t, int64_t row) {
  return {t.mutable_data_ptr<T>() + row * t.stride(0), t.stride(0), t.stride(1),
          FASTCV_ISA_CALL(store_classes<T, acc_t<T>>)};
}

// Runs f(block, first row, rows up to 16, buffer for two chunks) over all rows; blocks depend on
// the shape alone.
class RowGroups {
 public:
  RowGroups(int64_t rows, int64_t classes)
      : rows_(rows),
        block_(group_rows * std::max<int64_t>(1, 1024 / std::max<int64_t>(classes, 1))) {}

  int64_t blocks() const { return ceil_div(rows_, block_); }

  template <typename Acc, typename F>
  void for_each(F f) const {
    at::parallel_for(0, blocks(), 1, [&](int64_t first, int64_t last) {
      std::vector<Acc> buffer(2 * chunk_classes * group_rows);
      for (int64_t b = first; b < last; ++b) {
        const int64_t end = std::min(rows_, (b + 1) * block_);
        for (int64_t row = b * block_; row < end; row += group_rows) {
          f(b, row, static_cast<int>(std::min<int64_t>(group_rows, end - row)), buffer.data());
        }
      }
    });
  }

 private:
  int64_t rows_, block_;
};

// Class indices, checked; -1 for rows that are ignored.
std::vector<int64_t> class_indices(const at::Tensor& targets, int64_t classes,
                                   int64_t ignore_index) {
  const at::Tensor source = targets.to(at::kLong);
  std::vector<int64_t> indices(source.size(0));
  const int64_t *p = source.const_data_ptr<int64_t>(), stride = source.stride(0);
  for (size_t i = 0; i < indices.size(); ++i) {
    const int64_t c = p[static_cast<int64_t>(i) * stride];
    TORCH_CHECK(c == ignore_index || (c >= 0 && c < classes), "softmax_focal_loss: targets[", i,
                "] must be a class below ", classes, " or ignore_index, ", ignore_index, ", got ",
                c);
    indices[i] = c == ignore_index ? -1 : c;
  }
  return indices;
}

template <typename Acc>
const Acc* data_or_null(const at::Tensor& t) {
  return t.defined() ? t.const_data_ptr<Acc>() : nullptr;
}

// The arguments of one call, and what of them belongs to 16 rows.
template <typename T>
class Problem {
 public:
  using Acc = acc_t<T>;

  Problem(const at::Tensor& inputs, const at::Tensor& targets, double alpha,
          const std::optional<at::Tensor>& class_alpha, const std::optional<at::Tensor>& weight,
          int64_t ignore_index)
      : inputs_(inputs),
        targets_(targets),
        alpha_(static_cast<Acc>(alpha)),
        alphas_(class_weights(class_alpha, inputs)),
        weights_(row_weights(weight, inputs)) {
    if (!has_probabilities(targets)) {
      indices_ = class_indices(targets, inputs.size(1), ignore_index);
    }
  }

  RowReader<Acc> logits(int64_t row) const { return rows_from<Acc>(inputs_, row); }
  RowReader<Acc> probabilities(int64_t row) const { return rows_from<Acc>(targets_, row); }
  const int64_t* indices(int64_t row) const { return indices_.data() + row; }
  int64_t ignored() const { return std::count(indices_.begin(), indices_.end(), -1); }
  const Acc* class_alpha() const {
    return alphas_.defined() ? alphas_.const_data_ptr<Acc>() : nullptr;
  }

  // The row's factor beside that of its class.
  Acc row_weight(int64_t row) const {
    return alpha_ * (weights_.defined() ? weights_.const_data_ptr<Acc>()[row] : Acc(1));
  }

  // Of rows with an index: its logit, and the row's factor, 0 where it is ignored.
  void at_targets(int64_t row, int rows, Acc* logit, Acc* factor) const {
    const T* x = inputs_.const_data_ptr<T>();
    for (int r = 0; r < rows; ++r, ++row) {
      const int64_t c = indices_[row];
      if (c < 0) continue;
      logit[r] = static_cast<Acc>(x[row * inputs_.stride(0) + c * inputs_.stride(1)]);
      factor[r] = row_weight(row) * (class_alpha() == nullptr ? Acc(1) : class_alpha()[c]);
    }
  }

 private:
  const at::Tensor &inputs_, &targets_;
  Acc alpha_;
  at::Tensor alphas_, weights_;
  std::vector<int64_t> indices_;
};

std::tuple<at::Tensor, at::Tensor> softmax_focal_loss_cpu(
    const at::Tensor& inputs, const at::Tensor& targets, double alpha,
    const std::optional<at::Tensor>& class_alpha, double gamma,
    const std::optional<at::Tensor>& weight, int64_t ignore_index, bool reduce) {
  check_softmax_focal_loss(inputs, targets, class_alpha, gamma, weight, nullptr);
  const int64_t n = inputs.size(0);
  const bool soft = has_probabilities(targets);
  const auto wide = inputs.options().dtype(wide_dtype(inputs));
  const at::Tensor loss = reduce ? at::empty({}, wide) : at::empty({n}, inputs.options());
  const at::Tensor count = reduce ? at::empty({}, wide) : at::empty({0}, wide);
  dispatch_floating(inputs.scalar_type(), "softmax_focal_loss", "inputs", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Problem<T> problem(inputs, targets, alpha, class_alpha, weight, ignore_index);
    const SoftmaxFocalOptions<Acc> options{inputs.size(1), static_cast<Acc>(gamma),
                                           problem.class_alpha()};
    const auto by_index = gamma == 2 ? FASTCV_ISA_CALL(index_loss<true, Acc>)
                                     : FASTCV_ISA_CALL(index_loss<false, Acc>);
    const auto by_probability = gamma == 2 ? FASTCV_ISA_CALL(probability_loss<true, Acc>)
                                           : FASTCV_ISA_CALL(probability_loss<false, Acc>);
    const RowGroups groups(n, inputs.size(1));
    std::vector<double> sums(groups.blocks());
    groups.for_each<Acc>([&](int64_t b, int64_t row, int rows, Acc* buffer) {
      Acc losses[group_rows], logit[group_rows] = {}, factor[group_rows] = {};
      if (soft) {
        by_probability(problem.logits(row), problem.probabilities(row), rows, options, buffer,
                       losses);
        for (int r = 0; r < rows; ++r) factor[r] = problem.row_weight(row + r);
      } else {
        problem.at_targets(row, rows, logit, factor);
        by_index(problem.logits(row), logit, rows, options, buffer, losses);
      }
      for (int r = 0; r < rows; ++r) {
        const Acc value = factor[r] == 0 ? Acc(0) : losses[r] * factor[r];
        if (reduce) {
          sums[b] += static_cast<double>(value);
        } else {
          loss.mutable_data_ptr<T>()[row + r] = static_cast<T>(value);
        }
      }
    });
    if (!reduce) return;
    double total = 0;
    for (const double sum : sums) total += sum;
    *loss.mutable_data_ptr<Acc>() = static_cast<Acc>(total);
    *count.mutable_data_ptr<Acc>() = static_cast<Acc>(n - problem.ignored());
  });
  return {loss, count};
}

at::Tensor softmax_focal_loss_backward_cpu(const at::Tensor& grad, const at::Tensor& inputs,
                                           const at::Tensor& targets, double alpha,
                                           const std::optional<at::Tensor>& class_alpha,
                                           double gamma, const std::optional<at::Tensor>& weight,
                                           int64_t ignore_index) {
  check_softmax_focal_loss(inputs, targets, class_alpha, gamma, weight, &grad);
  const int64_t n = inputs.size(0);
  const bool soft = has_probabilities(targets);
  const at::Tensor grads = grad.to(wide_dtype(inputs)).expand({n});
  const at::Tensor grad_inputs = at::empty_like(inputs);
  advise_huge_pages(grad_inputs);
  dispatch_floating(inputs.scalar_type(), "softmax_focal_loss", "inputs", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Problem<T> problem(inputs, targets, alpha, class_alpha, weight, ignore_index);
    const SoftmaxFocalOptions<Acc> options{inputs.size(1), static_cast<Acc>(gamma),
                                           problem.class_alpha()};
    const auto by_index = gamma == 2 ? FASTCV_ISA_CALL(index_gradient<true, Acc>)
                                     : FASTCV_ISA_CALL(index_gradient<false, Acc>);
    const auto by_probability = gamma == 2 ? FASTCV_ISA_CALL(probability_gradient<true, Acc>)
                                           : FASTCV_ISA_CALL(probability_gradient<false, Acc>);
    RowGroups(n, inputs.size(1)).for_each<Acc>([&](int64_t, int64_t row, int rows, Acc* buffer) {
      Acc logit[group_rows] = {}, factor[group_rows] = {};
      if (soft) {
        for (int r = 0; r < rows; ++r) factor[r] = problem.row_weight(row + r);
      } else {
        problem.at_targets(row, rows, logit, factor);
      }
      for (int r = 0; r < rows; ++r) {
        if (factor[r] != 0) factor[r] *= grads.const_data_ptr<Acc>()[(row + r) * grads.stride(0)];
      }
      const auto out = rows_to<T>(grad_inputs, row);
      if (soft) {
        by_probability(factor, problem.logits(row), problem.probabilities(row), rows, options,
                       buffer, out);
      } else {
        by_index(factor, problem.logits(row), logit, problem.indices(row), rows, options, buffer,
                 out);
      }
    });
  });
  return grad_inputs;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) {
  m.impl("softmax_focal_loss", softmax_focal_loss_cpu);
  m.impl("_softmax_focal_loss_backward", softmax_focal_loss_backward_cpu);
}

}  // namespace fastcv
