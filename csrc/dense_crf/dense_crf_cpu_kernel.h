// Labels lie side by side in blocks of 16: those of pixel p at [block][p][16], blocks `stride`
// apart; those of a vertex in one row of blocks * 16.
namespace fastcv::FASTCV_ISA {

template <typename Acc>
inline constexpr int block_vectors = block_channels / lanes<Acc>;

// f(first block, number of blocks as a constant): two at a time, so that sums do not wait for each
// other.
template <typename F>
inline void for_each_two_blocks(int blocks, F f) {
  int b = 0;
  for (; b + 2 <= blocks; b += 2) f(b, std::integral_constant<int, 2>());
  if (b < blocks) f(b, std::integral_constant<int, 1>());
}

// values[v] = the sum of weight * labels over the vertex's entries.
template <typename Acc>
void lattice_splat(const LatticeEntry<Acc>* entry, const int64_t* begin, int64_t first,
                   int64_t last, const Acc* labels, int blocks, int64_t stride, Acc* values) {
  for_each_two_blocks(blocks, [&](int b, auto count) {
    constexpr int two = decltype(count)::value, per = block_vectors<Acc>;
    for (int64_t v = first; v < last; ++v) {
      vec<Acc> sum[two][per] = {};
      for (int64_t e = begin[v]; e < begin[v + 1]; ++e) {
        const vec<Acc> weight = broadcast(entry[e].weight);
        const Acc* from = labels + b * stride + int64_t{entry[e].pixel} * block_channels;
        for (int i = 0; i < two; ++i) {
          for (int j = 0; j < per; ++j) {
            sum[i][j] = madd(weight, load<Acc>(from + i * stride + j * lanes<Acc>), sum[i][j]);
          }
        }
      }
      Acc* to = values + (v * blocks + b) * block_channels;
      for (int i = 0; i < two; ++i) {
        for (int j = 0; j < per; ++j) {
          store<Acc>(to + i * block_channels + j * lanes<Acc>, sum[i][j]);
        }
      }
    }
  });
}

// to[v] = from[v] + half of its two neighbours along an axis.
template <typename Acc>
void lattice_blur(const int32_t* neighbour, int64_t first, int64_t last, int blocks,
                  const Acc* from, Acc* to) {
  const int64_t row = int64_t{blocks} * block_channels;
  const vec<Acc> half = broadcast(Acc(0.5));
  for (int64_t v = first; v < last; ++v) {
    const Acc* next = from + neighbour[2 * v] * row;
    const Acc* previous = from + neighbour[2 * v + 1] * row;
    for (int64_t i = 0; i < row; i += lanes<Acc>) {
      const vec<Acc> both = load<Acc>(next + i) + load<Acc>(previous + i);
      store<Acc>(to + v * row + i, madd(half, both, load<Acc>(from + v * row + i)));
    }
  }
}

// labels += scale * the sum of weight * values over each pixel's corners.
template <typename Acc>
void lattice_slice(const int32_t* vertex, const Acc* weight, int corners, int64_t pixels,
                   const Acc* values, int blocks, Acc scale, Acc* labels, int64_t stride) {
  for_each_two_blocks(blocks, [&](int b, auto count) {
    constexpr int two = decltype(count)::value, per = block_vectors<Acc>;
    for (int64_t p = 0; p < pixels; ++p) {
      vec<Acc> sum[two][per] = {};
      for (int k = 0; k < corners; ++k) {
        const vec<Acc> w = broadcast(weight[p * corners + k]);
        const Acc* from = values + (int64_t{vertex[p * corners + k]} * blocks + b) * block_channels;
        for (int i = 0; i < two; ++i) {
          for (int j = 0; j < per; ++j) {
            sum[i][j] = madd(w, load<Acc>(from + i * block_channels + j * lanes<Acc>), sum[i][j]);
          }
        }
      }
      for (int i = 0; i < two; ++i) {
        Acc* to = labels + (b + i) * stride + p * block_channels;
        for (int j = 0; j < per; ++j) {
          Acc* at = to + j * lanes<Acc>;
          store<Acc>(at, madd(broadcast(scale), sum[i][j], load<Acc>(at)));
        }
      }
    }
  });
}

// to[l] += the sum over m of from[m] * matrix[m][l]; the matrix has a row of blocks * 16 for each
// m.
template <typename Acc>
void mix(const Acc* from, const Acc* matrix, int64_t labels, int64_t pixels, int blocks,
         int64_t stride, Acc* to) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int b = 0; b < blocks; ++b) {
      Acc* out = to + b * stride + p * block_channels;
      for (int j = 0; j < block_channels; j += lanes<Acc>) {
        vec<Acc> sum = load<Acc>(out + j);
        for (int64_t m = 0; m < labels; ++m) {
          const Acc factor =
              from[m / block_channels * stride + p * block_channels + m % block_channels];
          sum = madd(broadcast(factor), load<Acc>(matrix + (m * blocks + b) * block_channels + j),
                     sum);
        }
        store<Acc>(out + j, sum);
      }
    }
  }
}

template <int by, typename V, size_t... i>
inline V rotated(V v, std::index_sequence<i...>) {
  return __builtin_shufflevector(v, v, static_cast<int>((i + by) % sizeof...(i))...);
}

// f over all lanes, in every lane.
template <typename Acc, int by = 1, typename F>
inline vec<Acc> over_lanes(vec<Acc> v, F f) {
  if constexpr (by == lanes<Acc>) {
    return v;
  } else {
    const vec<Acc> other = rotated<by>(v, std::make_index_sequence<lanes<Acc>>());
    return over_lanes<Acc, by * 2>(f(v, other), f);
  }
}

template <typename Acc>
inline vec<Acc> maximum(vec<Acc> a, vec<Acc> b) {
  return a > b ? a : b;
}
template <typename Acc>
inline vec<Acc> plus(vec<Acc> a, vec<Acc> b) {
  return a + b;
}

// f(pointer offset) for each vector of a pixel's labels.
template <typename Acc, typename F>
inline void for_each_vector(int64_t pixel, int blocks, int64_t stride, F f) {
  for (int b = 0; b < blocks; ++b) {
    for (int j = 0; j < block_channels; j += lanes<Acc>) {
      f(b * stride + pixel * block_channels + j);
    }
  }
}

// The probabilities of energies, which become e^(min - energy) on the way. `missing` is added to
// each pixel's: infinity for labels that do not exist, 0 for the others.
template <typename Acc>
void softmin(Acc* energy, const Acc* missing, int64_t pixels, int blocks, int64_t stride,
             Acc* probability, int64_t probability_stride) {
  for (int64_t p = 0; p < pixels; ++p) {
    vec<Acc> max = broadcast(-std::numeric_limits<Acc>::infinity()), sum = {};
    const Acc* is_missing = missing;
    for_each_vector<Acc>(p, blocks, stride, [&](int64_t at) {
      const vec<Acc> negative = -(load<Acc>(energy + at) + load<Acc>(is_missing));
      store<Acc>(energy + at, negative);
      max = maximum<Acc>(max, negative);
      is_missing += lanes<Acc>;
    });
    max = over_lanes<Acc>(max, maximum<Acc>);
    for_each_vector<Acc>(p, blocks, stride, [&](int64_t at) {
      const vec<Acc> e = vector_exp(load<Acc>(energy + at) - max);
      store<Acc>(energy + at, e);
      sum += e;
    });
    const vec<Acc> factor = broadcast(Acc(1)) / over_lanes<Acc>(sum, plus<Acc>);
    for (int b = 0; b < blocks; ++b) {
      for (int j = 0; j < block_channels; j += lanes<Acc>) {
        const int64_t at = p * block_channels + j;
        store<Acc>(probability + b * probability_stride + at,
                   load<Acc>(energy + b * stride + at) * factor);
      }
    }
  }
}

// From the gradient by probabilities to that by energies, in place: q (sum of q g - g).
template <typename Acc>
void softmin_backward(const Acc* probability, int64_t probability_stride, int64_t pixels,
                      int blocks, Acc* grad, int64_t stride) {
  for (int64_t p = 0; p < pixels; ++p) {
    vec<Acc> sum = {};
    const auto for_each = [&](auto f) {
      for (int b = 0; b < blocks; ++b) {
        for (int j = 0; j < block_channels; j += lanes<Acc>) {
          const int64_t at = p * block_channels + j;
          f(load<Acc>(probability + b * probability_stride + at), grad + b * stride + at);
        }
      }
    };
    for_each([&](vec<Acc> q, Acc* g) { sum = madd(q, load<Acc>(g), sum); });
    sum = over_lanes<Acc>(sum, plus<Acc>);
    for_each([&](vec<Acc> q, Acc* g) { store<Acc>(g, q * (sum - load<Acc>(g))); });
  }
}

}  // namespace fastcv::FASTCV_ISA
