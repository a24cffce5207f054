// CPU launcher. A task has as many vectors as fit into the L2 cache, packed, and goes through the
// packed codebook once for all of them. Then each thread adds up columns of its own, so that every
// sum runs in the order of the vectors.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <limits>
#include <tuple>

#include "common/cpu/buffer.h"
#include "common/host/accumulate.h"
#include "common/host/ceil_div.h"
#include "common/host/dispatch.h"
#include "vq_codes/vq_codes.h"

#define FASTCV_CPU_KERNEL "vq_codes/vq_codes_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

// Multiples of what any instruction set has in a tile.
constexpr int64_t row_step = 12, code_step = 32;
constexpr int64_t most_rows = 96, row_bytes = int64_t{256} << 10;
constexpr int64_t column_step = 64;

template <typename T, typename Acc>
void find_all(const at::Tensor& vectors, const at::Tensor& codebook, int64_t* codes) {
  const int64_t count = vectors.size(0), d = vectors.size(1), size = codebook.size(0);
  const int64_t padded = round_up(size, code_step);
  const auto panels = make_buffer<Acc>(padded * d);
  const auto halves = make_buffer<Acc>(padded);
  at::parallel_for(0, padded / code_step, 1, [&](int64_t begin, int64_t end) {
    FASTCV_ISA_CALL(pack_codes<T, Acc>)(codebook.const_data_ptr<T>(), codebook.stride(0),
                                        codebook.stride(1), size, d, begin * code_step,
                                        end * code_step, panels.get(), halves.get());
  });
  const int64_t fit = row_bytes / std::max(d * int64_t{sizeof(Acc)}, int64_t{1});
  const int64_t rows = std::clamp(fit / row_step * row_step, row_step, most_rows);
  at::parallel_for(0, ceil_div(count, rows), 1, [&](int64_t begin, int64_t end) {
    const auto packed = make_buffer<Acc>(rows * d), best = make_buffer<Acc>(rows * 2 * code_step);
    for (int64_t n = begin * rows; n < std::min(end * rows, count); n += rows) {
      FASTCV_ISA_CALL(find_codes<T, Acc>)(vectors.const_data_ptr<T>() + n * vectors.stride(0),
                                          vectors.stride(0), vectors.stride(1),
                                          std::min(rows, count - n), d, panels.get(), halves.get(),
                                          padded, packed.get(), best.get(), codes + n);
    }
  });
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> vq_codes_cpu(const at::Tensor& vectors,
                                                            const at::Tensor& codebook) {
  check_vq_codes(vectors, codebook);
  const int64_t count = vectors.size(0), d = vectors.size(1), size = codebook.size(0);
  const auto whole = vectors.options().dtype(at::kLong);
  const bool is_double = vectors.scalar_type() == at::kDouble;
  const at::Tensor codes = at::empty({count}, whole), counts = at::zeros({size}, whole);
  const at::Tensor sums =
      at::zeros({size, d}, vectors.options().dtype(is_double ? at::kDouble : at::kFloat));
  auto* const of_vector = codes.mutable_data_ptr<int64_t>();
  dispatch_floating(vectors.scalar_type(), "vq_codes", "vectors", [&]<typename T>() {
    using Acc = acc_t<T>;
    find_all<T, Acc>(vectors, codebook, of_vector);
    at::parallel_for(0, ceil_div(d, column_step), 1, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * column_step, last = std::min(end * column_step, d);
      FASTCV_ISA_CALL(add_by_code<T, Acc>)(vectors.const_data_ptr<T>() + first * vectors.stride(1),
                                           vectors.stride(0), vectors.stride(1), count, of_vector,
                                           last - first, sums.mutable_data_ptr<Acc>() + first, d);
    });
  });
  auto* const of_code = counts.mutable_data_ptr<int64_t>();
  for (int64_t n = 0; n < count; ++n) {
    if (of_vector[n] >= 0) ++of_code[of_vector[n]];
  }
  return {codes, counts, sums};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("vq_codes", vq_codes_cpu); }

}  // namespace fastcv
