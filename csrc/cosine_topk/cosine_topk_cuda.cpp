// CUDA launcher: a tile of similarities is torch's product of rows of length 1, and a kernel merges
// it into the best so far.
#include <ATen/ops/div.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/mm.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "common/cuda/cuda_launcher.h"
#include "cosine_topk/cosine_topk.h"
#include "cosine_topk/cosine_topk_kernel.h"

namespace fastcv {
namespace {

constexpr int64_t query_rows = 1024, gallery_rows = 16384;

// Rows [first, first + count), of length 1; zeros stay zeros.
at::Tensor unit_rows(const at::Tensor& rows, int64_t first, int64_t count, at::ScalarType dtype) {
  const at::Tensor some = rows.narrow(0, first, count).to(dtype);
  const at::Tensor lengths = at::linalg_vector_norm(some, 2, {1}, /*keepdim=*/true);
  return at::div(some, lengths.masked_fill(lengths.eq(0), 1));
}

std::tuple<at::Tensor, at::Tensor> cosine_topk_cuda(const at::Tensor& queries,
                                                    const at::Tensor& gallery, int64_t k) {
  check_cosine_topk(queries, gallery, k);
  const c10::cuda::CUDAGuard device_guard(queries.device());
  const int64_t count = queries.size(0), size = gallery.size(0);
  const auto dtype = queries.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const auto real = queries.options().dtype(dtype), whole = queries.options().dtype(at::kLong);
  const at::Tensor scores = at::empty({count, k}, real), indices = at::empty({count, k}, whole);
  for (int64_t q = 0; q < count; q += query_rows) {
    const int64_t rows = std::min(query_rows, count - q);
    const at::Tensor some = unit_rows(queries, q, rows, dtype);
    const at::Tensor best = at::empty({rows, 2, k}, real), places = at::empty({rows, 2, k}, whole);
    for (int64_t n = 0; n < size; n += gallery_rows) {
      const int64_t columns = std::min(gallery_rows, size - n);
      const at::Tensor tile = at::mm(some, unit_rows(gallery, n, columns, dtype).t());
      const auto merge = [&]<typename T>() {
        cuda::launch_merge_best(tile.const_data_ptr<T>(), rows, columns, n, k,
                                best.mutable_data_ptr<T>(), places.mutable_data_ptr<int64_t>(),
                                c10::cuda::getCurrentCUDAStream());
        C10_CUDA_KERNEL_LAUNCH_CHECK();
      };
      if (dtype == at::kDouble) {
        merge.template operator()<double>();
      } else {
        merge.template operator()<float>();
      }
    }
    scores.narrow(0, q, rows).copy_(best.select(1, 0));
    indices.narrow(0, q, rows).copy_(places.select(1, 0));
  }
  return {scores, indices};
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("cosine_topk", cosine_topk_cuda); }

}  // namespace fastcv
