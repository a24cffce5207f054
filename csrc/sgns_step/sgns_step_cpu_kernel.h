// Pairs lie by centre: a centre's errors are worked out together, then its row is read once for all
// of them.
namespace fastcv::FASTCV_ISA {

// The lanes' sum in each lane: halves are added to each other, in a fixed order.
template <int step, typename V, size_t... i>
inline V add_neighbours(V v, std::index_sequence<i...>) {
  return v + __builtin_shufflevector(v, v, static_cast<int>(i ^ step)...);
}
template <typename T>
inline T sum_of_lanes(vec<T> v) {
  constexpr auto all = std::make_index_sequence<lanes<T>>();
  if constexpr (lanes<T> > 8) v = add_neighbours<8>(v, all);
  if constexpr (lanes<T> > 4) v = add_neighbours<4>(v, all);
  if constexpr (lanes<T> > 2) v = add_neighbours<2>(v, all);
  return add_neighbours<1>(v, all)[0];
}

// a . b of `rows` rows b at a time.
template <int rows, typename T>
inline void dot_rows(const T* a, const T* const* b, int64_t d, T* out) {
  vec<T> sums[rows] = {};
  int64_t i = 0;
  for (; i + lanes<T> <= d; i += lanes<T>) {
    const vec<T> x = load<T>(a + i);
    for (int k = 0; k < rows; ++k) sums[k] = madd(x, load<T>(b[k] + i), sums[k]);
  }
  for (int k = 0; k < rows; ++k) {
    T sum = sum_of_lanes<T>(sums[k]);
    for (int64_t j = i; j < d; ++j) sum = madd(a[j], b[k][j], sum);
    out[k] = sum;
  }
}

// Scores become errors times lr; returns the loss. Both are read and written in whole vectors.
template <typename T>
inline double errors_of(T* scores, const T* labels, int64_t n, T lr) {
  const vec<T> one = broadcast(T(1)), zero = {};
  double loss = 0;
  for (int64_t k = 0; k < n; k += lanes<T>) {
    const vec<T> x = load<T>(scores + k), label = load<T>(labels + k);
    const vec<T> e = vector_exp(x < zero ? x : -x);
    const vec<T> probability = (x < zero ? e : one) / (one + e);
    store<T>(scores + k, (label - probability) * broadcast(lr));
    const vec<T> wrong = label > zero ? -x : x;
    const vec<T> losses = (wrong > zero ? wrong : zero) + vector_log1p(e);
    for (int i = 0; i < lanes<T> && k + i < n; ++i) loss += losses[i];
  }
  return loss;
}

// Trains the pairs of one bucket: (centre, n, n times 2 * output + label), ...
// Scratch for a centre's pairs: rows [most], scores and labels [most, rounded up to 16].
template <typename T>
double sgns_bucket(const int32_t* pairs, const int32_t* end, T* input, int64_t input_stride,
                   T* output, int64_t output_stride, int64_t d, T lr, T** rows, T* scores,
                   T* labels) {
  double loss = 0;
  while (pairs != end) {
    T* const centre = input + pairs[0] * input_stride;
    const int64_t n = pairs[1];
    pairs += 2;
    for (int64_t k = 0; k < n; ++k) {
      rows[k] = output + (pairs[k] >> 1) * output_stride;
      labels[k] = static_cast<T>(pairs[k] & 1);
    }
    pairs += n;
    if (pairs != end) {  // the next centre's rows are on their way meanwhile
      const int32_t* const next = pairs + 2;
      for (int64_t k = -1; k < pairs[1]; ++k) {
        const T* const row =
            k < 0 ? input + pairs[0] * input_stride : output + (next[k] >> 1) * output_stride;
        for (int64_t i = 0; i < d; i += 64 / static_cast<int64_t>(sizeof(T))) {
          __builtin_prefetch(row + i);
        }
      }
    }
    int64_t k = 0;
    for (; k + 4 <= n; k += 4) dot_rows<4>(centre, rows + k, d, scores + k);
    if (n - k == 3) dot_rows<3>(centre, rows + k, d, scores + k);
    if (n - k == 2) dot_rows<2>(centre, rows + k, d, scores + k);
    if (n - k == 1) dot_rows<1>(centre, rows + k, d, scores + k);
    loss += errors_of(scores, labels, n, lr);
    int64_t i = 0;
    for (; i + lanes<T> <= d; i += lanes<T>) {
      const vec<T> c = load<T>(centre + i);
      vec<T> sum = {};
      for (k = 0; k < n; ++k) {
        const vec<T> e = broadcast(scores[k]), o = load<T>(rows[k] + i);
        sum = madd(e, o, sum);
        store<T>(rows[k] + i, madd(e, c, o));
      }
      store<T>(centre + i, c + sum);
    }
    for (; i < d; ++i) {
      T sum = 0;
      for (k = 0; k < n; ++k) {
        T& o = rows[k][i];
        sum = madd(scores[k], o, sum);
        o = madd(scores[k], centre[i], o);
      }
      centre[i] += sum;
    }
  }
  return loss;
}

}  // namespace fastcv::FASTCV_ISA
