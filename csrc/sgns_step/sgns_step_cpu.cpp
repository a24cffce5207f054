// CPU launcher. Each shard of centres draws its pairs into a bucket for each shard of outputs; then
// the rounds, one after the other, whose buckets touch no common row.
#include <ATen/Parallel.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <tuple>
#include <vector>

#include "sgns_step/sgns_step.h"

#define FASTCV_CPU_KERNEL "sgns_step/sgns_step_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// A word that sub-sampling kept, and the kept words of its sentence: [first, end).
struct Kept {
  int64_t n, first, end;
};

std::vector<Kept> kept_words(const SgnsText& text) {
  std::vector<Kept> kept;
  kept.reserve(text.count);
  int64_t first = 0;
  const auto end_sentence = [&] {
    const auto end = static_cast<int64_t>(kept.size());
    for (int64_t i = first; i < end; ++i) kept[i].end = end;
    first = end;
  };
  for (int64_t n = 0; n < text.count; ++n) {
    if (text.words[n] == -1) {
      end_sentence();
      continue;
    }
    TORCH_CHECK(text.is_word(n), "sgns_step: words must be -1 or 0 to ", text.vocabulary - 1,
                ", got ", text.words[n], " at ", n);
    if (text.is_kept(n)) kept.push_back({n, first, 0});
  }
  end_sentence();
  return kept;
}

// One bucket's pairs as the kernel reads them.
struct Bucket {
  std::vector<int32_t> pairs;
  int64_t pairs_of_centre = 0;

  void add(int64_t centre, int64_t output, int label) {
    if (pairs_of_centre == 0) pairs.insert(pairs.end(), {static_cast<int32_t>(centre), 0});
    pairs.push_back(static_cast<int32_t>(output << 1 | label));
    ++pairs_of_centre;
  }
  int64_t end_centre() {
    const int64_t n = pairs_of_centre;
    if (n > 0) pairs[pairs.size() - n - 1] = static_cast<int32_t>(n);
    pairs_of_centre = 0;
    return n;
  }
};

// Of the centres in `shard`, into `buckets` by the output's shard. Returns how many; -1: the table
// of negatives has an id that is no word.
int64_t draw_pairs(const SgnsText& text, const std::vector<Kept>& kept, int64_t shard,
                   int64_t shards, Bucket* buckets) {
  int64_t drawn = 0;
  const auto size = static_cast<int64_t>(kept.size());
  for (int64_t i = 0; i < size; ++i) {
    const auto [n, first, end] = kept[i];
    const int64_t centre = text.words[n];
    if (centre % shards != shard) continue;
    const int64_t reach = text.window_of(n);
    for (int64_t j = std::max(i - reach, first); j < std::min(i + reach + 1, end); ++j) {
      if (j == i) continue;
      const int64_t place = j < i ? j - i + text.window : j - i + text.window - 1;
      const int64_t near = text.words[kept[j].n];
      buckets[near % shards].add(centre, near, 1);
      for (int64_t k = 0; k < text.negative; ++k) {
        const int64_t word = text.negative_of(n, place, k);
        if (word < 0 || word >= text.vocabulary) return -1;
        if (word != near) buckets[word % shards].add(centre, word, 0);
      }
    }
    for (int64_t s = 0; s < shards; ++s) drawn += buckets[s].end_centre();
  }
  return drawn;
}

template <typename T>
double train(const std::vector<Bucket>& buckets, const at::Tensor& input, const at::Tensor& output,
             T lr, int64_t shards, int64_t most_pairs) {
  T *in = input.mutable_data_ptr<T>(), *out = output.mutable_data_ptr<T>();
  std::vector<double> losses(buckets.size());
  const int64_t whole = round_up(most_pairs, int64_t{16});
  for (int64_t round = 0; round < shards; ++round) {
    at::parallel_for(0, shards, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      std::vector<T*> rows(most_pairs);
      std::vector<T> numbers(2 * whole);
      for (int64_t s = begin; s < end; ++s) {
        const int64_t at = s * shards + (s + round) % shards;
        const auto& pairs = buckets[at].pairs;
        losses[at] = FASTCV_ISA_CALL(sgns_bucket<T>)(
            pairs.data(), pairs.data() + pairs.size(), in, input.stride(0), out, output.stride(0),
            input.size(1), lr, rows.data(), numbers.data(), numbers.data() + whole);
      }
    });
  }
  double loss = 0;
  for (const double x : losses) loss += x;
  return loss;
}

std::tuple<at::Tensor, at::Tensor> sgns_step_cpu(const at::Tensor& input, const at::Tensor& output,
                                                 const at::Tensor& words, const at::Tensor& keep,
                                                 const at::Tensor& noise, int64_t window,
                                                 int64_t negative, double lr, int64_t seed,
                                                 int64_t position, int64_t shards) {
  check_sgns_step(input, output, words, keep, noise, window, negative, shards);
  const at::Tensor w = words.contiguous(), p = keep.contiguous(), table = noise.contiguous();
  const SgnsText text = sgns_text(w, p, table, window, negative, seed, position);
  const std::vector<Kept> kept = kept_words(text);
  std::vector<Bucket> buckets(shards * shards);
  std::vector<int64_t> drawn(shards);
  at::parallel_for(0, shards, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      drawn[s] = draw_pairs(text, kept, s, shards, buckets.data() + s * shards);
    }
  });
  int64_t pairs = 0;
  for (const int64_t n : drawn) {
    TORCH_CHECK(n >= 0, "sgns_step: noise must have ids of 0 to ", text.vocabulary - 1,
                " in its second column, some are not");
    pairs += n;
  }
  double loss = 0;
  if (input.scalar_type() == at::kFloat) {
    loss = train<float>(buckets, input, output, static_cast<float>(lr), shards, text.most_pairs());
  } else {
    loss = train<double>(buckets, input, output, lr, shards, text.most_pairs());
  }
  return {at::scalar_tensor(loss, at::kDouble), at::scalar_tensor(pairs, at::kLong)};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("sgns_step", sgns_step_cpu); }

}  // namespace fastcv
