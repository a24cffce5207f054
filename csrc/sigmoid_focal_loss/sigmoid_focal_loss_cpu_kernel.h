// The loss and its derivative for a block of elements that are in cache.
#include "common/focal/focal_cpu_kernel.h"

namespace fastcv::FASTCV_ISA {

// Inlined whatever the compiler thinks of its size: a quarter less time.
#define ALWAYS_INLINE __attribute__((always_inline))

template <typename Acc>
struct FocalElements {
  vec<Acc> alpha_t, cross_entropy, q, p, one_less_p;  // q = 1 - p_t

  ALWAYS_INLINE FocalElements(vec<Acc> x, vec<Acc> t, Acc alpha) {
    const vec<Acc> zero = broadcast(Acc(0)), one = broadcast(Acc(1));
    const vec<Acc> max_finite = broadcast(std::numeric_limits<Acc>::max());
    const auto positive = x >= zero;
    vec<Acc> size = positive ? x : -x;
    size = size > max_finite ? max_finite : size;  // NaN stays
    const vec<Acc> e = vector_exp(-size), larger = one / (one + e), smaller = e * larger;
    const vec<Acc> rest = one - t;
    p = positive ? larger : smaller;
    one_less_p = positive ? smaller : larger;
    q = madd(p, rest, one_less_p * t);
    cross_entropy = madd(size, positive ? rest : t, vector_log1p(e));
    alpha_t = alpha < 0 ? one : madd(broadcast(alpha), t, broadcast(1 - alpha) * rest);
  }

  template <bool squared>
  ALWAYS_INLINE vec<Acc> loss(Acc gamma) const {
    return alpha_t * cross_entropy * power<squared>(q, gamma);
  }

  template <bool squared>
  ALWAYS_INLINE vec<Acc> derivative(vec<Acc> t, Acc gamma) const {
    // dCE/dx = p - t and dq/dx = (1 - 2 t) p (1 - p); p - t as below loses no digits.
    const vec<Acc> one = broadcast(Acc(1)), slope = madd(p, one - t, -(one_less_p * t));
    const vec<Acc> spread = p * one_less_p, sign = madd(broadcast(Acc(-2)), t, one);
    const vec<Acc> by_modulation = cross_entropy * (spread * sign * broadcast(gamma));
    if constexpr (squared) return alpha_t * q * madd(slope, q, by_modulation);
    // spread / q <= 1 wherever q > 0.
    const vec<Acc> min_normal = broadcast(std::numeric_limits<Acc>::min());
    const vec<Acc> safe = q < min_normal ? min_normal : q;
    return alpha_t * power<false>(q, gamma) * (slope + by_modulation / safe);
  }
};

template <typename Acc>
inline vec<Acc> load_first(const Acc* p, int64_t count) {
  if (count == lanes<Acc>) return load<Acc>(p);
  vec<Acc> v = {};
  for (int64_t i = 0; i < count; ++i) v[i] = p[i];
  return v;
}

template <typename Acc>
inline void store_first(Acc* p, int64_t count, vec<Acc> v) {
  if (count == lanes<Acc>) return store<Acc>(p, v);
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
}

// f(i, count) for every vector of n elements; the last may have fewer than lanes<Acc>.
template <typename Acc, typename F>
inline void for_each_vector(int64_t n, F f) {
  int64_t i = 0;
  for (; i + lanes<Acc> <= n; i += lanes<Acc>) f(i, int64_t{lanes<Acc>});
  if (i < n) f(i, n - i);
}

// What has no weight counts for nothing, not even as a NaN.
template <typename V>
inline V weighed(V x, V weight) {
  return weight == V{} ? V{} : x * weight;
}

// Writes the loss to `out`, or returns its sum where that is null. `weight` may be null.
template <bool squared, typename Acc>
Acc focal_loss(const Acc* x, const Acc* t, const Acc* weight, int64_t n, Acc alpha, Acc gamma,
               Acc* out) {
  vec<Acc> sum = {};
  for_each_vector<Acc>(n, [&](int64_t i, int64_t count) {
    const FocalElements<Acc> f(load_first(x + i, count), load_first(t + i, count), alpha);
    vec<Acc> loss = f.template loss<squared>(gamma);
    if (weight != nullptr) loss = weighed(loss, load_first(weight + i, count));
    if (out != nullptr) {
      store_first(out + i, count, loss);
    } else {
      for (int64_t k = count; k < lanes<Acc>; ++k) loss[k] = 0;
      sum += loss;
    }
  });
  Acc total = 0;
  for (int k = 0; k < lanes<Acc>; ++k) total += sum[k];
  return total;
}

// grad_x = grad * weight * dloss/dx; grad is `grad_stride` apart, 0 or 1.
template <bool squared, typename Acc>
void focal_loss_backward(const Acc* grad, int64_t grad_stride, const Acc* x, const Acc* t,
                         const Acc* weight, int64_t n, Acc alpha, Acc gamma, Acc* grad_x) {
  for_each_vector<Acc>(n, [&](int64_t i, int64_t count) {
    const vec<Acc> target = load_first(t + i, count);
    const FocalElements<Acc> f(load_first(x + i, count), target, alpha);
    const vec<Acc> g = grad_stride == 0 ? broadcast(*grad) : load_first(grad + i, count);
    vec<Acc> result = g * f.template derivative<squared>(target, gamma);
    if (weight != nullptr) result = weighed(result, load_first(weight + i, count));
    store_first(grad_x + i, count, result);
  });
}

#undef ALWAYS_INLINE

}  // namespace fastcv::FASTCV_ISA
