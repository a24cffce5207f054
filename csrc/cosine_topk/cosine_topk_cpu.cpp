// CPU launcher. A task has some queries, packed for the L2 cache, and a part of the gallery, of
// which it packs a few rows at a time and multiplies them with all its queries. Each query keeps
// what may be among its best; the parts' are merged in the end.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include "common/cpu/buffer.h"
#include "common/host/accumulate.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "cosine_topk/cosine_topk.h"
#include "cosine_topk/ranked.h"

#define FASTCV_CPU_KERNEL "cosine_topk/cosine_topk_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// Multiples of what any instruction set multiplies at a time.
constexpr int64_t query_step = 12, most_queries = 96, tile = 48;
constexpr int64_t query_bytes = int64_t{512} << 10;
constexpr int64_t spare = 64;  // candidates beyond k, before the worst are dropped

template <typename Acc>
struct Found {
  Acc score;
  int64_t index;

  friend bool operator<(const Found& a, const Found& b) {
    return ranks_before(a.score, a.index, b.score, b.index);
  }
};

// The best k of what it is given, in rising order of the index, and some more.
template <typename Acc>
class Best {
 public:
  Acc threshold = -std::numeric_limits<Acc>::infinity();  // what is not above it is not wanted
  std::vector<Found<Acc>> found;

  void add(const Acc* scores, int64_t n, int64_t first, int64_t k, bool may_be_wanted) {
    const bool is_full = static_cast<int64_t>(found.size()) >= k;
    if (is_full && !may_be_wanted) return;
    for (int64_t i = 0; i < n; ++i) {
      // Until there are k, NaN is taken as well.
      if (static_cast<int64_t>(found.size()) >= k && !(scores[i] > threshold)) continue;
      found.push_back({scores[i], first + i});
      if (static_cast<int64_t>(found.size()) >= k + std::max(k, spare)) drop(k);
    }
  }

  void drop(int64_t k) {
    if (static_cast<int64_t>(found.size()) <= k) return;
    std::nth_element(found.begin(), found.begin() + (k - 1), found.end());
    found.resize(k);
    const Acc worst = found[k - 1].score;
    if (worst == worst) threshold = worst;
  }
};

struct Split {
  int64_t queries, blocks, parts;

  Split(int64_t count, int64_t gallery, int64_t row_bytes) {
    const int64_t fit = query_bytes / row_bytes / query_step * query_step;
    const int64_t most = std::clamp(fit, query_step, most_queries);
    // Even blocks: a last one of few queries would go through the gallery for them alone.
    queries = round_up(ceil_div(count, ceil_div(count, most)), query_step);
    blocks = ceil_div(count, queries);
    const int64_t threads = at::get_num_threads();
    parts =
        threads == 1 ? 1 : std::min(ceil_div(4 * threads, blocks), ceil_div(gallery, 16 * tile));
  }
};

// What the task's queries find in rows [first, last) of the gallery.
template <typename T, typename Acc>
void search(const at::Tensor& queries, const at::Tensor& gallery, int64_t first, int64_t last,
            int64_t k, Best<Acc>* best) {
  const int64_t count = queries.size(0), d = queries.size(1), whole = round_up(d, int64_t{16});
  const int64_t row = whole + 16;  // rows a power of two apart would share a place in the cache
  const int64_t padded = round_up(count, query_step);
  const auto packed = make_buffer<Acc>((padded + tile) * row);
  const auto scores = make_buffer<Acc>(padded * tile);
  Acc query_scales[most_queries], scales[tile];
  const auto pack = [&](const at::Tensor& t, int64_t i, Acc* to) {
    return FASTCV_ISA_CALL(pack_row<T, Acc>)(t.const_data_ptr<T>() + i * t.stride(0), t.stride(1),
                                             d, whole, to);
  };
  for (int64_t q = 0; q < count; ++q) query_scales[q] = pack(queries, q, packed.get() + q * row);
  std::fill(packed.get() + count * row, packed.get() + padded * row, Acc(0));
  Acc* const items = packed.get() + padded * row;
  for (int64_t n = first; n < last; n += tile) {
    const int64_t columns = std::min(tile, last - n);
    for (int64_t i = 0; i < columns; ++i) scales[i] = pack(gallery, n + i, items + i * row);
    std::fill(items + columns * row, items + tile * row, Acc(0));
    std::fill(scales + columns, scales + tile, Acc(0));
    FASTCV_ISA_CALL(multiply_packed<Acc>)(packed.get(), padded, items, tile, row, whole,
                                          scores.get());
    for (int64_t q = 0; q < count; ++q) {
      Acc* const of_query = scores.get() + q * tile;
      const bool wanted = FASTCV_ISA_CALL(scale_scores<Acc>)(of_query, scales, query_scales[q],
                                                             tile, best[q].threshold);
      best[q].add(of_query, columns, n, k, wanted);
    }
  }
  for (int64_t q = 0; q < count; ++q) best[q].drop(k);
}

std::tuple<at::Tensor, at::Tensor> cosine_topk_cpu(const at::Tensor& queries,
                                                   const at::Tensor& gallery, int64_t k) {
  check_cosine_topk(queries, gallery, k);
  const int64_t count = queries.size(0), size = gallery.size(0);
  const bool is_double = queries.scalar_type() == at::kDouble;
  const at::Tensor scores =
      at::empty({count, k}, queries.options().dtype(is_double ? at::kDouble : at::kFloat));
  const at::Tensor indices = at::empty({count, k}, queries.options().dtype(at::kLong));
  if (count == 0) return {scores, indices};
  dispatch_floating(queries.scalar_type(), "cosine_topk", "queries", [&]<typename T>() {
    using Acc = acc_t<T>;
    const Split split(count, size, (queries.size(1) + 16) * static_cast<int64_t>(sizeof(Acc)));
    std::vector<Best<Acc>> best(split.parts * count);  // by part
    at::parallel_for(0, split.blocks * split.parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t part = task % split.parts, q = task / split.parts * split.queries;
        const auto bound = [&](int64_t p) { return size * p / split.parts; };
        search<T, Acc>(queries.slice(0, q, std::min(q + split.queries, count)), gallery,
                       bound(part), bound(part + 1), k, best.data() + part * count + q);
      }
    });
    Acc* const score = scores.mutable_data_ptr<Acc>();
    auto* const index = indices.mutable_data_ptr<int64_t>();
    at::parallel_for(0, count, 16, [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        auto& all = best[q].found;
        for (int64_t part = 1; part < split.parts; ++part) {
          auto& more = best[part * count + q].found;
          all.insert(all.end(), more.begin(), more.end());
          std::vector<Found<Acc>>().swap(more);
        }
        std::partial_sort(all.begin(), all.begin() + k, all.end());
        for (int64_t i = 0; i < k; ++i) {
          score[q * k + i] = all[i].score;
          index[q * k + i] = all[i].index;
        }
        std::vector<Found<Acc>>().swap(all);
      }
    });
  });
  return {scores, indices};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("cosine_topk", cosine_topk_cpu); }

}  // namespace fastcv
