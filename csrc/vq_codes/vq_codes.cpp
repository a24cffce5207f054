// What does not depend on the device: schema and checks.
#include "vq_codes/vq_codes.h"

#include <torch/library.h>

#include "common/host/checks.h"

namespace fastcv {

void check_vq_codes(const at::Tensor& vectors, const at::Tensor& codebook) {
  const char* op = "vq_codes";
  check_dimensions(op, vectors, "vectors", 2);
  check_floating(op, vectors, "vectors");
  check_matrix(op, codebook, "codebook", vectors.size(1), "[K, D] with the D of vectors");
  check_like(op, codebook, "codebook", vectors, "vectors");
  TORCH_CHECK(codebook.size(0) >= 1, op, ": codebook must have a row at least, got ",
              codebook.sizes());
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def("vq_codes(Tensor vectors, Tensor codebook) -> (Tensor codes, Tensor counts, Tensor sums)");
}

}  // namespace fastcv
