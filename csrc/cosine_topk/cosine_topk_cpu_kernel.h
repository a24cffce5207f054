// Rows are packed: in the type that is computed in, filled up with zeros to whole vectors. A
// product's lanes run along the rows, so that neither side is transposed and one query is as cheap
// as many.
namespace fastcv::FASTCV_ISA {

// Of 32 registers 24 hold sums, of 16 twelve do.
inline constexpr int query_rows = FASTCV_VECTOR_BYTES == 64 ? 4 : 3;
inline constexpr int gallery_rows = FASTCV_VECTOR_BYTES == 64 ? 6 : 4;

// Sums of neighbouring lanes: those of a, then those of b.
template <typename V, size_t... i>
inline V add_pairs(V a, V b, std::index_sequence<i...>) {
  return __builtin_shufflevector(a, b, static_cast<int>(2 * i)...) +
         __builtin_shufflevector(a, b, static_cast<int>(2 * i + 1)...);
}

// Lane j of sums[j / lanes] becomes the sum of all lanes of the former sums[j], for j < n.
template <typename T, int n, int step = 1>
inline void add_lanes(vec<T>* sums) {
  if constexpr (step < lanes<T>) {
    constexpr auto all = std::make_index_sequence<lanes<T>>();
    constexpr int half = (n + 1) / 2;
#pragma GCC unroll 12
    for (int i = 0; i < half; ++i) {
      sums[i] = add_pairs(sums[2 * i], 2 * i + 1 < n ? sums[2 * i + 1] : vec<T>{}, all);
    }
    add_lanes<T, half, step * 2>(sums);
  }
}

// `n` numbers, `step` apart, to `to`, and zeros up to `whole`, a multiple of 16. Returns what
// makes the row one of length 1: 1 / length, 0 for a row of zeros.
template <typename T, typename Acc>
Acc pack_row(const T* row, int64_t step, int64_t n, int64_t whole, Acc* to) {
  int64_t i = 0;
  if (step == 1) {
    for (; i + lanes<Acc> <= n; i += lanes<Acc>) store<Acc>(to + i, load<Acc>(row + i));
  }
  for (; i < n; ++i) to[i] = static_cast<Acc>(row[i * step]);
  for (; i < whole; ++i) to[i] = Acc(0);
  constexpr int chains = 16 / lanes<Acc> > 4 ? 16 / lanes<Acc> : 4;
  vec<Acc> sums[chains] = {};
  for (i = 0; i + chains * lanes<Acc> <= whole; i += chains * lanes<Acc>) {
    for (int j = 0; j < chains; ++j) {
      const vec<Acc> x = load<Acc>(to + i + j * lanes<Acc>);
      sums[j] = madd(x, x, sums[j]);
    }
  }
  for (; i < whole; i += lanes<Acc>) {
    const vec<Acc> x = load<Acc>(to + i);
    sums[0] = madd(x, x, sums[0]);
  }
  Acc sum = 0;
  for (const vec<Acc>& of_chain : sums) {
    for (int j = 0; j < lanes<Acc>; ++j) sum += of_chain[j];
  }
  return sum == 0 ? Acc(0) : Acc(1) / std::sqrt(sum);
}

// out[q * out_row + g] (+)= the product of rows q and g over n numbers.
template <typename Acc>
[[gnu::always_inline]] inline void multiply_rows(const Acc* queries, const Acc* gallery,
                                                 int64_t row, int64_t n, bool add, Acc* out,
                                                 int64_t out_row) {
  vec<Acc> sums[query_rows * gallery_rows] = {};
  for (int64_t i = 0; i < n; i += lanes<Acc>) {
    vec<Acc> x[query_rows];
#pragma GCC unroll 4
    for (int q = 0; q < query_rows; ++q) x[q] = load<Acc>(queries + q * row + i);
#pragma GCC unroll 6
    for (int g = 0; g < gallery_rows; ++g) {
      const vec<Acc> y = load<Acc>(gallery + g * row + i);
#pragma GCC unroll 4
      for (int q = 0; q < query_rows; ++q) {
        sums[q * gallery_rows + g] = madd(x[q], y, sums[q * gallery_rows + g]);
      }
    }
  }
  vec<Acc> found[query_rows * gallery_rows];  // so that no address of `sums`, registers, is taken
#pragma GCC unroll 24
  for (int i = 0; i < query_rows * gallery_rows; ++i) found[i] = sums[i];
  add_lanes<Acc, query_rows * gallery_rows>(found);
  Acc whole[round_up(query_rows * gallery_rows, lanes<Acc>)];
  for (int i = 0; i * lanes<Acc> < query_rows * gallery_rows; ++i) {
    store<Acc>(whole + i * lanes<Acc>, found[i]);
  }
  for (int q = 0; q < query_rows; ++q) {
    for (int g = 0; g < gallery_rows; ++g) {
      Acc& to = out[q * out_row + g];
      to = (add ? to : Acc(0)) + whole[q * gallery_rows + g];
    }
  }
}

// scores[q * columns + g] of packed rows, `row` apart; what both sides read lies in the L1 cache.
// `count` is a multiple of query_rows, `columns` of gallery_rows.
template <typename Acc>
void multiply_packed(const Acc* queries, int64_t count, const Acc* gallery, int64_t columns,
                     int64_t row, int64_t whole, Acc* scores) {
  constexpr int64_t depth = 4096 / sizeof(Acc);
  if (whole == 0) std::fill_n(scores, count * columns, Acc(0));
  for (int64_t i = 0; i < whole; i += depth) {
    const int64_t n = whole - i < depth ? whole - i : depth;
    for (int64_t g = 0; g < columns; g += gallery_rows) {
      for (int64_t q = 0; q < count; q += query_rows) {
        multiply_rows<Acc>(queries + q * row + i, gallery + g * row + i, row, n, i > 0,
                           scores + q * columns + g, columns);
      }
    }
  }
}

// Scales products to cosines; returns whether one of them is above `threshold`. n is a multiple of
// 16.
template <typename Acc>
bool scale_scores(Acc* scores, const Acc* scales, Acc scale, int64_t n, Acc threshold) {
  vec<Acc> best = broadcast(threshold);
  for (int64_t i = 0; i < n; i += lanes<Acc>) {
    const vec<Acc> s = load<Acc>(scores + i) * load<Acc>(scales + i) * broadcast(scale);
    store<Acc>(scores + i, s);
    best = s > best ? s : best;
  }
  bool found = false;
  for (int j = 0; j < lanes<Acc>; ++j) found |= best[j] > threshold;
  return found;
}

}  // namespace fastcv::FASTCV_ISA
