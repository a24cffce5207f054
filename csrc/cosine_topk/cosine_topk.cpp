// What does not depend on the device: schema and checks.
#include "cosine_topk/cosine_topk.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_cosine_topk(const at::Tensor& queries, const at::Tensor& gallery, int64_t k) {
  const char* op = "cosine_topk";
  check_dimensions(op, queries, "queries", 2);
  check_floating(op, queries, "queries");
  check_matrix(op, gallery, "gallery", queries.size(1), "[N, D] with the D of queries");
  check_like(op, gallery, "gallery", queries, "queries");
  TORCH_CHECK(k >= 1 && k <= gallery.size(0), op, ": k must be 1 to the rows of gallery, ",
              gallery.size(0), ", got ", k);
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("cosine_topk(Tensor queries, Tensor gallery, int k) -> (Tensor scores, Tensor indices)");
}

}  // namespace fastcv
