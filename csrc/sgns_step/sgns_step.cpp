#include "sgns_step/sgns_step.h"

#include <torch/library.h>

#include <utility>

#include "common/host/checks.h"

namespace fastcv {

void check_sgns_step(const at::Tensor& input, const at::Tensor& output, const at::Tensor& words,
                     const at::Tensor& keep, const at::Tensor& noise, int64_t window,
                     int64_t negative, int64_t shards) {
  const char* op = "sgns_step";
  check_dimensions(op, input, "input", 2);
  TORCH_CHECK(input.scalar_type() == at::kFloat || input.scalar_type() == at::kDouble, op,
              ": input must be float32 or float64, got ", input.scalar_type());
  TORCH_CHECK(output.sizes() == input.sizes(), op, ": output must have the shape of input, ",
              input.sizes(), ", got ", output.sizes());
  check_like(op, output, "output", input, "input");
  for (const auto& [t, name] : {std::pair(input, "input"), std::pair(output, "output")}) {
    TORCH_CHECK(t.numel() == 0 || ((t.size(1) == 1 || t.stride(1) == 1) &&
                                   (t.size(0) == 1 || t.stride(0) >= t.size(1))),
                op, ": the rows of ", name, " must be dense, got strides ", t.strides());
  }
  TORCH_CHECK(input.numel() == 0 || input.const_data_ptr() != output.const_data_ptr(), op,
              ": input and output must be two matrices, not the same memory");
  const int64_t vocabulary = input.size(0);
  TORCH_CHECK(vocabulary < int64_t{1} << 30, op, ": input must have less than 2^30 rows, got ",
              vocabulary);
  TORCH_CHECK(words.dim() == 1 && words.scalar_type() == at::kLong, op,
              ": words must be int64 of shape [N], got ", words.scalar_type(), " ", words.sizes());
  TORCH_CHECK(keep.dim() == 1 && keep.size(0) == vocabulary && keep.scalar_type() == at::kFloat, op,
              ": keep must be float32 of shape [", vocabulary, "], got ", keep.scalar_type(), " ",
              keep.sizes());
  TORCH_CHECK(noise.dim() == 2 && noise.size(0) == vocabulary && noise.size(1) == 2 &&
                  noise.scalar_type() == at::kInt,
              op, ": noise must be int32 of shape [", vocabulary, ", 2], got ", noise.scalar_type(),
              " ", noise.sizes());
  check_same_device(op, input, "input", words, "words");
  check_same_device(op, input, "input", keep, "keep");
  check_same_device(op, input, "input", noise, "noise");
  TORCH_CHECK(window >= 1 && window <= 1024, op, ": window must be 1 to 1024, got ", window);
  TORCH_CHECK(negative >= 0 && negative <= 1024, op, ": negative must be 0 to 1024, got ",
              negative);
  TORCH_CHECK(shards >= 1 && shards <= 1024, op, ": shards must be 1 to 1024, got ", shards);
}

SgnsText sgns_text(const at::Tensor& words, const at::Tensor& keep, const at::Tensor& noise,
                   int64_t window, int64_t negative, int64_t seed, int64_t position) {
  return {words.const_data_ptr<int64_t>(),
          words.size(0),
          keep.const_data_ptr<float>(),
          noise.const_data_ptr<int32_t>(),
          keep.size(0),
          window,
          negative,
          sgns_mix(static_cast<uint64_t>(seed)),
          static_cast<uint64_t>(position)};
}

TORCH_LIBRARY_FRAGMENT(fastcv, m) {
  m.def(
      "sgns_step(Tensor(a!) input, Tensor(b!) output, Tensor words, Tensor keep, Tensor noise, int "
      "window, int negative, float lr, int seed, int position, int shards) -> (Tensor loss, Tensor "
      "pairs)");
}

}  // namespace fastcv
