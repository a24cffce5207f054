// A Gaussian bump is a row times a column: one exponential for each of their cells. A Cauchy bump
// is one division a cell.
namespace fastcv::FASTCV_ISA {

// f(first lane's index, the lanes' indices as Acc) for all n, a vector at a time; the last vector
// may reach beyond n.
template <typename Acc, typename F>
void for_each_index(int64_t n, F f) {
  vec<Acc> lane;
  for (int i = 0; i < lanes<Acc>; ++i) lane[i] = static_cast<Acc>(i);
  for (int64_t i = 0; i < n; i += lanes<Acc>) f(i, lane + broadcast(static_cast<Acc>(i)));
}

// The n values of a vector to p.
template <typename Acc, typename T>
void store_some(T* p, vec<Acc> values, int64_t n) {
  if (n >= lanes<Acc>) {
    store<Acc>(p, values);
  } else {
    T all[lanes<Acc>];
    store<Acc>(all, values);
    std::memcpy(p, all, n * sizeof(T));
  }
}

// Along one axis: the squared distance of each of n cells to `place`, times a scale; for a Gaussian
// bump the exponential of minus that.
template <typename Acc>
void bump_line(Acc place, int64_t n, const BumpScales& scales, Acc* line) {
  const vec<Acc> scale = broadcast(static_cast<Acc>(scales.per_square));
  for_each_index<Acc>(n, [&](int64_t i, vec<Acc> index) {
    const vec<Acc> away = index - broadcast(place), squared = away * away * scale;
    store<Acc>(line + i, scales.cauchy ? squared : vector_exp(-squared));
  });
}

// `row` and `column` have room for a vector more than `width` and `height`.
template <typename T, typename Acc>
void encode_heatmap(Acc x, Acc y, int64_t height, int64_t width, const BumpScales& scales,
                    Acc* __restrict__ row, Acc* __restrict__ column, T* __restrict__ heatmap) {
  bump_line(x, width, scales, row);
  bump_line(y, height, scales, column);
  const vec<Acc> one = broadcast(Acc(1)), peak = broadcast(static_cast<Acc>(scales.peak));
  for (int64_t i = 0; i < height; ++i, heatmap += width) {
    const vec<Acc> own = broadcast(column[i]);
    for (int64_t j = 0; j < width; j += lanes<Acc>) {
      const vec<Acc> along = load<Acc>(row + j);
      store_some<Acc>(heatmap + j, scales.cauchy ? peak / (one + (along + own)) : along * own,
                      width - j);
    }
  }
}

// The gradient of a point, of that of its heatmap. A bump changes with the point's x by its value
// (for Cauchy by value^2 / peak) times 2 per_square (j - x).
template <typename T, typename Acc>
void differentiate_heatmap(const T* __restrict__ grad, Acc x, Acc y, int64_t height, int64_t width,
                           const BumpScales& scales, Acc* __restrict__ row, Acc* __restrict__ moved,
                           Acc* __restrict__ column, Acc* by_x, Acc* by_y) {
  bump_line(x, width, scales, row);
  bump_line(y, height, scales, column);
  for_each_index<Acc>(
      width, [&](int64_t j, vec<Acc> index) { store<Acc>(moved + j, index - broadcast(x)); });
  const vec<Acc> one = broadcast(Acc(1)), peak = broadcast(static_cast<Acc>(scales.peak));
  Acc sum_x = 0, sum_y = 0;
  for (int64_t i = 0; i < height; ++i, grad += width) {
    const vec<Acc> own = broadcast(column[i]);
    vec<Acc> all{}, all_moved{};
    for (int64_t j = 0; j < width; j += lanes<Acc>) {
      T some[lanes<Acc>]{};
      const T* from = grad + j;
      if (width - j < lanes<Acc>) {
        std::memcpy(some, from, (width - j) * sizeof(T));
        from = some;
      }
      const vec<Acc> along = load<Acc>(row + j), below = one / (one + (along + own));
      const vec<Acc> bump = scales.cauchy ? peak * below * below : along * own;
      const vec<Acc> part = load<Acc>(from) * bump;
      all += part;
      all_moved = madd(part, load<Acc>(moved + j), all_moved);
    }
    Acc sum = 0, sum_moved = 0;
    for (int k = 0; k < lanes<Acc>; ++k) sum += all[k], sum_moved += all_moved[k];
    sum_x += sum_moved, sum_y += sum * (static_cast<Acc>(i) - y);
  }
  const Acc twice = static_cast<Acc>(2 * scales.per_square);
  *by_x = twice * sum_x, *by_y = twice * sum_y;
}

}  // namespace fastcv::FASTCV_ISA
