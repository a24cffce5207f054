// 16 rows at a time, side by side in vectors: the classes are loops. Rows of contiguous classes are
// interleaved in cache (common/cpu/interleave.h), [C, N] memory is read as it lies.
#include "common/focal/focal_cpu_kernel.h"

namespace fastcv::FASTCV_ISA {

template <typename Acc>
inline constexpr int row_vectors = group_rows / lanes<Acc>;

// A number for each of the rows.
template <typename Acc>
struct PerRow {
  vec<Acc> v[row_vectors<Acc>];

  static PerRow all(Acc x) {
    PerRow r;
    for (auto& v : r.v) v = broadcast(x);
    return r;
  }
  static PerRow read(const Acc* p) {
    PerRow r;
    for (int j = 0; j < row_vectors<Acc>; ++j) r.v[j] = load<Acc>(p + j * lanes<Acc>);
    return r;
  }
  void write(Acc* p) const {
    for (int j = 0; j < row_vectors<Acc>; ++j) store<Acc>(p + j * lanes<Acc>, v[j]);
  }
};

template <typename T, typename Acc>
void load_classes(const RowReader<Acc>& from, int rows, int64_t begin, int64_t count, Acc* to) {
  const T* p = static_cast<const T*>(from.data) + begin * from.class_stride;
  if constexpr (std::is_same_v<T, Acc> || (sizeof(T) == 2 && sizeof(Acc) == 4)) {
    if (from.class_stride == 1) return interleave<T, Acc>(p, from.row_stride, rows, count, to);
  }
  if (from.row_stride == 1 && rows == group_rows) {
    for (int64_t c = 0; c < count; ++c, p += from.class_stride) widen(p, rows, to + c * group_rows);
    return;
  }
  for (int64_t c = 0; c < count; ++c, p += from.class_stride) {
    for (int r = 0; r < group_rows; ++r) {
      to[c * group_rows + r] = r < rows ? static_cast<Acc>(p[r * from.row_stride]) : Acc(0);
    }
  }
}

template <typename T, typename Acc>
void store_classes(const RowWriter<Acc>& to, int rows, int64_t begin, int64_t count,
                   const Acc* from) {
  T* p = static_cast<T*>(to.data) + begin * to.class_stride;
  if (to.class_stride == 1) {
    deinterleave<T, Acc>(from, count, rows, to.row_stride, p);
  } else if (to.row_stride == 1) {
    for (int64_t c = 0; c < count; ++c, p += to.class_stride) {
      round_to(from + c * group_rows, rows, p);
    }
  } else {
    for (int64_t c = 0; c < count; ++c, p += to.class_stride) {
      for (int r = 0; r < rows; ++r)
        p[r * to.row_stride] = static_cast<T>(from[c * group_rows + r]);
    }
  }
}

// Runs f(first class, classes, values [classes, 16]) over the row's chunks. `loaded`: the buffer
// has the one and only chunk already.
template <typename Acc, typename F>
void for_each_chunk(const RowReader<Acc>& x, int rows, int64_t classes, bool loaded, Acc* buffer,
                    F f) {
  for (int64_t c = 0; c < classes; c += chunk_classes) {
    const int64_t count = classes - c < chunk_classes ? classes - c : chunk_classes;
    if (!loaded) x.load(x, rows, c, count, buffer);
    f(c, count, buffer);
  }
}

// The softmax of 16 rows, as its maximum and the sum of e^(x - max) without one that is largest:
// both 1 - p and log(p) of that one come from it without cancellation.
template <typename Acc>
struct Softmax {
  PerRow<Acc> max, rest, log_sum;

  vec<Acc> exp_of(vec<Acc> x, int j) const { return vector_exp(x - max.v[j]); }
};

// With `keep`, a buffer that holds all classes is left with e^(x - max) of each.
template <bool keep = false, typename Acc>
Softmax<Acc> softmax(const RowReader<Acc>& x, int rows, int64_t classes, Acc* buffer) {
  Softmax<Acc> s;
  s.max = PerRow<Acc>::all(-std::numeric_limits<Acc>::infinity());
  for_each_chunk(x, rows, classes, false, buffer, [&](int64_t, int64_t count, const Acc* values) {
    for (int64_t c = 0; c < count; ++c) {
      const auto row = PerRow<Acc>::read(values + c * group_rows);
      for (int j = 0; j < row_vectors<Acc>; ++j) {
        s.max.v[j] = row.v[j] > s.max.v[j] ? row.v[j] : s.max.v[j];
      }
    }
  });
  auto sum = PerRow<Acc>::all(0), largest = PerRow<Acc>::all(-1);
  const bool loaded = classes <= chunk_classes;
  for_each_chunk(x, rows, classes, loaded, buffer, [&](int64_t, int64_t count, Acc* values) {
    for (int64_t c = 0; c < count; ++c) {
      auto row = PerRow<Acc>::read(values + c * group_rows);
      for (int j = 0; j < row_vectors<Acc>; ++j) {
        const auto is_largest = row.v[j] == s.max.v[j];
        row.v[j] = s.exp_of(row.v[j], j);
        sum.v[j] += is_largest ? vec<Acc>{} : row.v[j];
        largest.v[j] += is_largest ? broadcast(Acc(1)) : vec<Acc>{};
      }
      if (keep && loaded) row.write(values + c * group_rows);
    }
  });
  const vec<Acc> one = broadcast(Acc(1));
  for (int j = 0; j < row_vectors<Acc>; ++j) {
    // No logit is the largest where all are NaN, or infinite.
    const vec<Acc> nan = broadcast(std::numeric_limits<Acc>::quiet_NaN());
    const vec<Acc> size = s.max.v[j] < 0 ? -s.max.v[j] : s.max.v[j];
    const auto finite = size <= broadcast(std::numeric_limits<Acc>::max());
    s.rest.v[j] = finite ? sum.v[j] + largest.v[j] : nan;
    const vec<Acc> rest = s.rest.v[j];
    s.log_sum.v[j] = rest > one ? vector_log(one + rest) : vector_log1p(rest);
  }
  return s;
}

// What the loss needs of one class of the rows in vector j, whose logits are x.
template <typename Acc>
struct FocalClass {
  vec<Acc> p, q, log_p;  // q = 1 - p

  FocalClass(const Softmax<Acc>& s, int j, vec<Acc> x) {
    const vec<Acc> one = broadcast(Acc(1)), sum = one + s.rest.v[j];
    const auto is_largest = x == s.max.v[j];
    p = s.exp_of(x, j) / sum;
    q = is_largest ? s.rest.v[j] / sum : one - p;
    log_p = (x - s.max.v[j]) - s.log_sum.v[j];
    const vec<Acc> lowest = broadcast(std::numeric_limits<Acc>::lowest());
    log_p = log_p < lowest ? lowest : log_p;  // 0 times this is 0
  }

  template <bool squared>
  vec<Acc> loss(Acc gamma) const {
    return -log_p * power<squared>(q, gamma);
  }

  // By log p: q^gamma (gamma p log(p) / q - 1), where log(p) / q goes to -1 with q to 0.
  template <bool squared>
  vec<Acc> derivative(Acc gamma) const {
    const vec<Acc> zero = {}, one = broadcast(Acc(1));
    const vec<Acc> p_log_p = p == zero ? zero : p * log_p;
    if constexpr (squared) return q * madd(broadcast(gamma), p_log_p, -q);
    const vec<Acc> min_normal = broadcast(std::numeric_limits<Acc>::min());
    const vec<Acc> ratio = q < min_normal ? broadcast(Acc(-1)) : p_log_p / q;
    return power<false>(q, gamma) * madd(broadcast(gamma), ratio, -one);
  }
};

// The loss of up to 16 rows by class index, before weights; `logit` is what each row has there.
template <bool squared, typename Acc>
void index_loss(const RowReader<Acc>& x, const Acc* logit, int rows,
                const SoftmaxFocalOptions<Acc>& o, Acc* buffer, Acc* loss) {
  const auto s = softmax(x, rows, o.classes, buffer);
  auto at = PerRow<Acc>::read(logit);
  for (int j = 0; j < row_vectors<Acc>; ++j) {
    at.v[j] = FocalClass<Acc>(s, j, at.v[j]).template loss<squared>(o.gamma);
  }
  at.write(loss);
}

// Its gradient by all logits, times `scale`, a number for each row: 0 counts for nothing. Targets
// of -1 are none.
template <bool squared, typename Acc>
void index_gradient(const Acc* scale, const RowReader<Acc>& x, const Acc* logit,
                    const int64_t* targets, int rows, const SoftmaxFocalOptions<Acc>& o,
                    Acc* buffer, const RowWriter<Acc>& grad_x) {
  const auto s = softmax<true>(x, rows, o.classes, buffer);
  const auto at = PerRow<Acc>::read(logit), scales = PerRow<Acc>::read(scale);
  const vec<Acc> zero = {};
  PerRow<Acc> d, own;
  for (int j = 0; j < row_vectors<Acc>; ++j) {
    const FocalClass<Acc> f(s, j, at.v[j]);
    d.v[j] = f.template derivative<squared>(o.gamma) * scales.v[j];
    d.v[j] = scales.v[j] == zero ? zero : d.v[j];
    own.v[j] = scales.v[j] == zero ? zero : d.v[j] * f.q;
  }
  Acc at_target[group_rows];
  own.write(at_target);
  // -p d for every class, but q d for the target's.
  PerRow<Acc> factor;
  for (int j = 0; j < row_vectors<Acc>; ++j) {
    const vec<Acc> f = -d.v[j] / (broadcast(Acc(1)) + s.rest.v[j]);
    factor.v[j] = d.v[j] == zero ? zero : f;
  }
  const bool loaded = o.classes <= chunk_classes;
  for_each_chunk(x, rows, o.classes, loaded, buffer,
                 [&](int64_t begin, int64_t count, Acc* values) {
                   for (int64_t c = 0; c < count; ++c) {
                     auto row = PerRow<Acc>::read(values + c * group_rows);
                     for (int j = 0; j < row_vectors<Acc>; ++j) {
                       const vec<Acc> e = loaded ? row.v[j] : s.exp_of(row.v[j], j);
                       row.v[j] = factor.v[j] == zero ? zero : factor.v[j] * e;
                     }
                     row.write(values + c * group_rows);
                   }
                   for (int r = 0; r < rows; ++r) {
                     const int64_t c = targets[r] - begin;
                     if (c >= 0 && c < count) values[c * group_rows + r] = at_target[r];
                   }
                   grad_x.store(grad_x, rows, begin, count, values);
                 });
}

// f(first class, classes, logits, probabilities) over the chunks of both.
template <typename Acc, typename F>
void for_each_pair(const RowReader<Acc>& x, const RowReader<Acc>& t, int rows, int64_t classes,
                   Acc* buffer, F f) {
  for_each_chunk(x, rows, classes, false, buffer, [&](int64_t begin, int64_t count, Acc* values) {
    Acc* probabilities = buffer + chunk_classes * group_rows;
    t.load(t, rows, begin, count, probabilities);
    f(begin, count, values, probabilities);
  });
}

// As above for probabilities t; `buffer` has room for two chunks.
template <bool squared, typename Acc>
void probability_loss(const RowReader<Acc>& x, const RowReader<Acc>& t, int rows,
                      const SoftmaxFocalOptions<Acc>& o, Acc* buffer, Acc* loss) {
  const auto s = softmax(x, rows, o.classes, buffer);
  auto sum = PerRow<Acc>::all(0);
  for_each_pair(x, t, rows, o.classes, buffer,
                [&](int64_t begin, int64_t count, const Acc* values, const Acc* probabilities) {
                  for (int64_t c = 0; c < count; ++c) {
                    const auto row = PerRow<Acc>::read(values + c * group_rows);
                    const auto p = PerRow<Acc>::read(probabilities + c * group_rows);
                    const vec<Acc> zero = {}, alpha = broadcast(o.class_alpha == nullptr
                                                                    ? Acc(1)
                                                                    : o.class_alpha[begin + c]);
                    for (int j = 0; j < row_vectors<Acc>; ++j) {
                      const FocalClass<Acc> f(s, j, row.v[j]);
                      const vec<Acc> term = f.template loss<squared>(o.gamma) * p.v[j] * alpha;
                      sum.v[j] += p.v[j] == zero ? zero : term;
                    }
                  }
                });
  sum.write(loss);
}

template <bool squared, typename Acc>
void probability_gradient(const Acc* grad, const RowReader<Acc>& x, const RowReader<Acc>& t,
                          int rows, const SoftmaxFocalOptions<Acc>& o, Acc* buffer,
                          const RowWriter<Acc>& grad_x) {
  const auto s = softmax(x, rows, o.classes, buffer);
  const auto grads = PerRow<Acc>::read(grad);
  // Of class c by its own log p, in place of its probability.
  const auto derivatives = [&](int64_t begin, int64_t count, const Acc* values, Acc* in_place) {
    for (int64_t c = 0; c < count; ++c) {
      const auto row = PerRow<Acc>::read(values + c * group_rows);
      auto p = PerRow<Acc>::read(in_place + c * group_rows);
      const vec<Acc> zero = {};
      const vec<Acc> alpha =
          broadcast(o.class_alpha == nullptr ? Acc(1) : o.class_alpha[begin + c]);
      for (int j = 0; j < row_vectors<Acc>; ++j) {
        const vec<Acc> factor = grads.v[j] * alpha * p.v[j];
        const vec<Acc> d =
            factor * FocalClass<Acc>(s, j, row.v[j]).template derivative<squared>(o.gamma);
        p.v[j] = factor == zero ? zero : d;
      }
      p.write(in_place + c * group_rows);
    }
  };
  auto sum = PerRow<Acc>::all(0);
  for_each_pair(x, t, rows, o.classes, buffer,
                [&](int64_t begin, int64_t count, const Acc* values, Acc* d) {
                  derivatives(begin, count, values, d);
                  for (int64_t c = 0; c < count; ++c) {
                    const auto row = PerRow<Acc>::read(d + c * group_rows);
                    for (int j = 0; j < row_vectors<Acc>; ++j) sum.v[j] += row.v[j];
                  }
                });
  for_each_pair(x, t, rows, o.classes, buffer,
                [&](int64_t begin, int64_t count, Acc* values, Acc* d) {
                  derivatives(begin, count, values, d);
                  for (int64_t c = 0; c < count; ++c) {
                    auto row = PerRow<Acc>::read(values + c * group_rows);
                    const auto own = PerRow<Acc>::read(d + c * group_rows);
                    const vec<Acc> zero = {};
                    for (int j = 0; j < row_vectors<Acc>; ++j) {
                      const vec<Acc> p = s.exp_of(row.v[j], j) / (1 + s.rest.v[j]);
                      row.v[j] = grads.v[j] == zero ? zero : own.v[j] - p * sum.v[j];
                    }
                    row.write(values + c * group_rows);
                  }
                  grad_x.store(grad_x, rows, begin, count, values);
                });
}

}  // namespace fastcv::FASTCV_ISA
