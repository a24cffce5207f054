// CPU launcher: a thread counts runs of equal pixels in a table of its own for each image; those of
// an image are merged.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <tuple>
#include <vector>

#include "panoptic_counts/panoptic_counts.h"
#include "panoptic_counts/panoptic_pair.h"

#define FASTCV_CPU_KERNEL "panoptic_counts/panoptic_counts_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t grain = int64_t{1} << 16;  // pixels of a thread

struct Counted {
  uint64_t pair;
  int64_t count;  // 0: the slot is free
};

// Open addressing, at most half full.
class Table {
 public:
  Table() : slots_(size_t{1} << bits_) {}

  void add(uint64_t pair, int64_t count) {
    Counted& slot = find(pair);
    if (slot.count == 0) {
      slot.pair = pair;
      ++used_;
    }
    slot.count += count;
    if (2 * used_ > slots_.size()) grow();
  }

  // What was counted, by rising pairs.
  std::vector<Counted> sorted() const {
    std::vector<Counted> found;
    found.reserve(used_);
    for (const Counted& slot : slots_) {
      if (slot.count > 0) found.push_back(slot);
    }
    std::sort(found.begin(), found.end(),
              [](const Counted& a, const Counted& b) { return a.pair < b.pair; });
    return found;
  }

 private:
  Counted& find(uint64_t pair) {
    size_t at = panoptic_slot(pair, bits_);
    while (slots_[at].count > 0 && slots_[at].pair != pair) at = (at + 1) & (slots_.size() - 1);
    return slots_[at];
  }

  void grow() {
    std::vector<Counted> old(slots_.size() * 4);
    old.swap(slots_);
    bits_ += 2;
    for (const Counted& slot : old) {
      if (slot.count > 0) find(slot.pair) = slot;
    }
  }

  int bits_ = 8;
  size_t used_ = 0;
  std::vector<Counted> slots_;
};

// Counts of two parts of an image as one.
std::vector<Counted> merged(const std::vector<Counted>& a, const std::vector<Counted>& b) {
  std::vector<Counted> all;
  all.reserve(a.size() + b.size());
  auto x = a.begin(), y = b.begin();
  while (x != a.end() || y != b.end()) {
    if (y == b.end() || (x != a.end() && x->pair < y->pair)) {
      all.push_back(*x++);
    } else if (x == a.end() || y->pair < x->pair) {
      all.push_back(*y++);
    } else {
      all.push_back({x->pair, x->count + y->count});
      ++x, ++y;
    }
  }
  return all;
}

template <typename I>
std::vector<std::vector<Counted>> count_images(const at::Tensor& predicted,
                                               const at::Tensor& target) {
  const int64_t images = predicted.size(0), pixels = predicted.size(1) * predicted.size(2);
  const I *p = predicted.const_data_ptr<I>(), *t = target.const_data_ptr<I>();
  std::mutex mutex;
  std::vector<std::vector<Counted>> found(images);
  bool refused = false;
  at::parallel_for(0, images * pixels, grain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t image = begin / pixels, stop = std::min(end, (image + 1) * pixels);
      Table table;
      const bool fit =
          FASTCV_ISA_CALL(count_runs<I, Table>)(p + begin, t + begin, stop - begin, table);
      const std::vector<Counted> counted = table.sorted();
      const std::lock_guard lock(mutex);
      refused |= !fit;
      // Sums of whole numbers: the order in which threads come does not matter.
      found[image] = found[image].empty() ? counted : merged(found[image], counted);
      begin = stop;
    }
  });
  if (refused) refuse_panoptic_ids();
  return found;
}

std::tuple<at::Tensor, at::Tensor> panoptic_counts_cpu(const at::Tensor& predicted,
                                                       const at::Tensor& target) {
  check_panoptic_counts(predicted, target);
  const at::ScalarType dtype = panoptic_dtype(predicted, target);
  const at::Tensor p = predicted.to(dtype).contiguous(), t = target.to(dtype).contiguous();
  std::vector<std::vector<Counted>> found;
  if (p.numel() > 0) {
    found = dtype == at::kInt ? count_images<int32_t>(p, t) : count_images<int64_t>(p, t);
  }
  int64_t n = 0;
  for (const auto& image : found) n += static_cast<int64_t>(image.size());
  const at::Tensor pairs = at::empty({n, 3}, at::kLong), counts = at::empty({n}, at::kLong);
  auto *pair = pairs.mutable_data_ptr<int64_t>(), *count = counts.mutable_data_ptr<int64_t>();
  for (size_t image = 0; image < found.size(); ++image) {
    for (const Counted& counted : found[image]) {
      *pair++ = static_cast<int64_t>(image);
      *pair++ = static_cast<int64_t>(counted.pair >> 32);
      *pair++ = static_cast<int64_t>(counted.pair & 0xffffffffu);
      *count++ = counted.count;
    }
  }
  return {pairs, counts};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("panoptic_counts", panoptic_counts_cpu); }

}  // namespace fastcv
