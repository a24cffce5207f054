#include "common/masks/mask_cpu_kernel.h"

namespace fastcv::FASTCV_ISA {

template <typename Acc>
inline vec<Acc> sigmoid(vec<Acc> x) {
  const vec<Acc> max = broadcast(Acc(80)), one = broadcast(Acc(1));
  const vec<Acc> exponent = vec<Acc>{} - x;
  return one / (one + vector_exp(exponent > max ? max : exponent));  // NaN stays
}

// Vectors of a row side by side: their sums do not wait for each other.
template <int vectors, typename T, typename Acc>
inline void combine_vectors(const T* prototypes, int64_t plane, const Acc* coefficients,
                            int64_t count, Acc* out) {
  vec<Acc> sums[vectors] = {};
  for (int64_t k = 0; k < count; ++k) {
    const vec<Acc> coefficient = broadcast(coefficients[k]);
    for (int i = 0; i < vectors; ++i) {
      sums[i] = madd(coefficient, load<Acc>(prototypes + k * plane + i * lanes<Acc>), sums[i]);
    }
  }
  for (int i = 0; i < vectors; ++i) store<Acc>(out + i * lanes<Acc>, sigmoid<Acc>(sums[i]));
}

// n samples of a row: the sigmoid of the prototypes' sum by the coefficients.
template <typename T, typename Acc>
void combine_row(const T* prototypes, int64_t plane, const Acc* coefficients, int64_t count,
                 int64_t n, Acc* out) {
  int64_t x = 0;
  for (; x + 4 * lanes<Acc> <= n; x += 4 * lanes<Acc>) {
    combine_vectors<4>(prototypes + x, plane, coefficients, count, out + x);
  }
  for (; x + lanes<Acc> <= n; x += lanes<Acc>) {
    combine_vectors<1>(prototypes + x, plane, coefficients, count, out + x);
  }
  if (x == n) return;
  vec<Acc> rest{};
  for (int64_t k = 0; k < count; ++k) {
    vec<Acc> samples{};
    for (int64_t i = x; i < n; ++i) {
      samples[i - x] = static_cast<Acc>(prototypes[k * plane + i]);
    }
    rest = madd(broadcast(coefficients[k]), samples, rest);
  }
  rest = sigmoid<Acc>(rest);
  for (int64_t i = x; i < n; ++i) out[i] = rest[i - x];
}

}  // namespace fastcv::FASTCV_ISA
