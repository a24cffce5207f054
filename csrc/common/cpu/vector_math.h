// Included by foreach_isa.h, once per instruction set: exp and logarithms of vectors, in float to
// two units in the last place; in double as the C library has them.
namespace fastcv::FASTCV_ISA {

typedef int32_t int_vec __attribute__((vector_size(FASTCV_VECTOR_BYTES)));

// e^x for x <= 80; below -87 it is 0.
inline vec<float> vector_exp(vec<float> x) {
  // 2^n e^r with |r| <= ln(2) / 2: adding 1.5 * 2^23 rounds to a whole n, in the lowest bits.
  const vec<float> magic = broadcast(12582912.0f), min = broadcast(-87.0f);
  const vec<float> shifted = madd(x, broadcast(1.44269504f), magic), n = shifted - magic;
  const vec<float> r = madd(n, broadcast(2.12194440e-4f), madd(n, broadcast(-0.693359375f), x));
  vec<float> p = broadcast(1.9875691500e-4f);
  p = madd(p, r, broadcast(1.3981999507e-3f));
  p = madd(p, r, broadcast(8.3334519073e-3f));
  p = madd(p, r, broadcast(4.1665795894e-2f));
  p = madd(p, r, broadcast(1.6666665459e-1f));
  p = madd(p, r, broadcast(5.0000001201e-1f));
  p = madd(p, r * r, r) + broadcast(1.0f);
  // The low bits of `magic` are 0, so a shift leaves n alone in the exponent.
  p *= (vec<float>)(((int_vec)shifted << 23) + (127 << 23));
  return x < min ? vec<float>{} : p;  // NaN stays
}

// 2 atanh(s) for |s| <= 1/3: the odd series, its coefficients fitted to that range.
inline vec<float> twice_atanh(vec<float> s) {
  const vec<float> z = s * s;
  vec<float> p = broadcast(0.2817465663f);
  p = madd(p, z, broadcast(0.2796141803f));
  p = madd(p, z, broadcast(0.4002485275f));
  p = madd(p, z, broadcast(0.6666631699f));
  p = madd(p, z, broadcast(2.0f));
  return p * s;
}

// log(1 + x) for 0 <= x <= 1, relative accuracy down to 0.
inline vec<float> vector_log1p(vec<float> x) { return twice_atanh(x / (x + broadcast(2.0f))); }

// log(x) for normal x > 0; of 0 it is about -88.
inline vec<float> vector_log(vec<float> x) {
  const int_vec bits = (int_vec)x;
  const vec<float> m = (vec<float>)((bits & 0x7fffff) | (127 << 23));  // in [1, 2)
  const int_vec high = (int_vec)(m > broadcast(1.41421356f));
  const vec<float> half = high ? m * broadcast(0.5f) : m;  // in [0.7, 1.42]
  const int_vec n = (bits >> 23) - 127 - high;             // a true comparison is -1
  const vec<float> exponent = __builtin_convertvector(n, vec<float>);
  const vec<float> one = broadcast(1.0f);
  return madd(exponent, broadcast(0.693147181f), twice_atanh((half - one) / (half + one)));
}

template <typename F>
inline vec<double> each_lane(vec<double> x, F f) {
  for (int i = 0; i < lanes<double>; ++i) x[i] = f(x[i]);
  return x;
}
inline vec<double> vector_exp(vec<double> x) {
  return each_lane(x, [](double v) { return __builtin_exp(v); });
}
inline vec<double> vector_log1p(vec<double> x) {
  return each_lane(x, [](double v) { return __builtin_log1p(v); });
}
inline vec<double> vector_log(vec<double> x) {
  return each_lane(x, [](double v) { return __builtin_log(v); });
}

}  // namespace fastcv::FASTCV_ISA
