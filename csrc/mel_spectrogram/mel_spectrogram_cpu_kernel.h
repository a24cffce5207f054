// Every lane has a frame of its own, so the transform is written as for one number. A buffer holds
// the same number of all lanes side by side.
namespace fastcv::FASTCV_ISA {

// Numbers that mel_frames needs: four parts of the transform, and the frames at the ends.
template <typename T>
int64_t mel_scratch(const MelPlan& plan) {
  return lanes<T> * (4 * (int64_t{plan.points} + 1) + plan.window);
}

// One step of radix r: from `a` and `b`, the real and the imaginary parts, to `to_a` and `to_b`.
// `apart`: how far apart the results of a butterfly lie; 1 in the first step.
template <int r, typename T>
void transform_step(int64_t points, int64_t apart, const T* turns, int64_t turn, const T* a,
                    const T* b, T* to_a, T* to_b) {
  constexpr int64_t n = lanes<T>;
  const int64_t others = points / r;
  for (int64_t p = 0; p * apart < others; ++p) {
    vec<T> cosine[r], sine[r];
    for (int k = 1; k < r; ++k) {
      const T* w = turns + 2 * (p * k * apart * turn);
      cosine[k] = broadcast(w[0]), sine[k] = broadcast(w[1]);
    }
    for (int64_t q = 0; q < apart; ++q) {
      const int64_t from = (p * apart + q) * n, to = (p * r * apart + q) * n;
      vec<T> x[r], y[r];
#pragma GCC unroll 5
      for (int j = 0; j < r; ++j) {
        x[j] = load<T>(a + from + j * others * n), y[j] = load<T>(b + from + j * others * n);
      }
      transform_few<r, T>(x, y);
      store<T>(to_a + to, x[0]), store<T>(to_b + to, y[0]);
#pragma GCC unroll 5
      for (int k = 1; k < r; ++k) {
        store<T>(to_a + to + k * apart * n, madd(x[k], cosine[k], -(y[k] * sine[k])));
        store<T>(to_b + to + k * apart * n, madd(x[k], sine[k], y[k] * cosine[k]));
      }
    }
  }
}

// The same for any radix, by the sum itself.
template <typename T>
void transform_step_of_any(int64_t r, int64_t points, int64_t apart, const T* turns, int64_t turn,
                           const T* a, const T* b, T* to_a, T* to_b) {
  constexpr int64_t n = lanes<T>;
  const int64_t others = points / r;
  for (int64_t i = 0; i < others; ++i) {
    const int64_t p = i / apart, q = i % apart;
    for (int64_t k = 0; k < r; ++k) {
      vec<T> x{}, y{};
      for (int64_t j = 0; j < r; ++j) {
        // The butterfly's own turn, and that of the step.
        const T* w = turns + 2 * ((j * k * others + p * k * apart) % points * turn);
        const vec<T> cosine = broadcast(w[0]), sine = broadcast(w[1]);
        const vec<T> u = load<T>(a + (i + j * others) * n), v = load<T>(b + (i + j * others) * n);
        x = x + madd(u, cosine, -(v * sine)), y = y + madd(u, sine, v * cosine);
      }
      store<T>(to_a + (q + (r * p + k) * apart) * n, x);
      store<T>(to_b + (q + (r * p + k) * apart) * n, y);
    }
  }
}

template <typename T>
inline vec<T> square_roots(vec<T> x) {
  for (int i = 0; i < lanes<T>; ++i) x[i] = std::sqrt(x[i]);
  return x;
}

// log(max(x, floor)); NaN and infinity stay.
template <typename T>
inline vec<T> log_above(vec<T> x, T floor) {
  const vec<T> low = broadcast(floor);
  x = x < low ? low : x;
  return x - x == vec<T>{} ? vector_log(x) : x;
}

// Samples of the frames `rows` times the window, as the transform takes them.
template <typename T>
void pack_frames(const MelPlan& plan, const T* const* rows, const T* window, T* a, T* b) {
  constexpr int n = lanes<T>;
  const bool halved = plan.is_halved();
  const auto place = [&](int64_t i) {
    if (!halved) return a + i * n;
    return (i % 2 == 0 ? a : b) + i / 2 * n;
  };
  int64_t i = 0;
  for (; i + n <= plan.window; i += n) {
    const vec<T> shape = load<T>(window + i);
    vec<T> part[n];
    for (int lane = 0; lane < n; ++lane) part[lane] = load<T>(rows[lane] + i) * shape;
    transpose(part);
    for (int j = 0; j < n; ++j) store<T>(place(i + j), part[j]);
  }
  for (; i < plan.window; ++i) {
    T* to = place(i);
    for (int lane = 0; lane < n; ++lane) to[lane] = rows[lane][i] * window[i];
  }
  if (!halved) std::memset(b, 0, sizeof(T) * n * plan.window);
}

// |X[k]|^2, or |X[k]|, of all lanes to `spectrum`, from the transform (a, b) of `points`.
template <typename T>
void spectrum_of(const MelPlan& plan, const T* turns, const T* a, const T* b, T* spectrum) {
  constexpr int64_t n = lanes<T>;
  const int64_t points = plan.points;
  const vec<T> half = broadcast(T(0.5));
  for (int64_t k = 0; k < plan.bins(); ++k) {
    const int64_t at = k == points ? 0 : k;
    vec<T> x = load<T>(a + at * n), y = load<T>(b + at * n);
    if (plan.is_halved()) {
      // The even samples' transform and the odd ones', which is a turn of k behind.
      const int64_t other = at == 0 ? 0 : points - at;
      const vec<T> u = load<T>(a + other * n), v = load<T>(b + other * n);
      const vec<T> even_x = (x + u) * half, even_y = (y - v) * half;
      const vec<T> odd_x = (y + v) * half, odd_y = (u - x) * half;
      const vec<T> cosine = broadcast(turns[2 * k]), sine = broadcast(turns[2 * k + 1]);
      x = even_x + madd(odd_x, cosine, -(odd_y * sine));
      y = even_y + madd(odd_x, sine, odd_y * cosine);
    }
    const vec<T> squared = madd(x, x, y * y);
    store<T>(spectrum + k * n, plan.magnitude ? square_roots<T>(squared) : squared);
  }
}

// Frames [first, last) of a sound to mel [filters, frames].
template <typename T>
void mel_frames(const MelPlan& plan, const T* wave, const T* window, const T* filters,
                const int32_t* ranges, const T* turns, int64_t first, int64_t last, T* scratch,
                T* mel) {
  constexpr int n = lanes<T>;
  const int64_t part = (int64_t{plan.points} + 1) * n, turn = plan.window / plan.points;
  T* const ends = scratch + 4 * part;
  for (int64_t t = first; t < last; t += n) {
    const T* rows[n];
    for (int lane = 0; lane < n; ++lane) {
      // Lanes beyond the last frame repeat it.
      const int64_t begin = (t + lane < last ? t + lane : last - 1) * plan.hop - plan.pad;
      rows[lane] = wave + begin;
      if (begin >= 0 && begin + plan.window <= plan.samples) continue;
      T* const own = ends + lane * plan.window;
      for (int64_t i = 0; i < plan.window; ++i) {
        const int64_t at = plan.sample_at(begin + i);
        own[i] = at < 0 ? T(0) : wave[at];
      }
      rows[lane] = own;
    }
    T *a = scratch, *b = a + part, *to_a = b + part, *to_b = to_a + part;
    pack_frames(plan, rows, window, a, b);
    int64_t apart = 1;
    for (int step = 0; step < plan.steps; ++step) {
      const int32_t r = plan.radices[step];
      const auto run = [&](auto f) { f(plan.points, apart, turns, turn, a, b, to_a, to_b); };
      if (r == 4)
        run(transform_step<4, T>);
      else if (r == 2)
        run(transform_step<2, T>);
      else if (r == 3)
        run(transform_step<3, T>);
      else if (r == 5)
        run(transform_step<5, T>);
      else
        transform_step_of_any(r, plan.points, apart, turns, turn, a, b, to_a, to_b);
      apart *= r;
      std::swap(a, to_a), std::swap(b, to_b);
    }
    spectrum_of(plan, turns, a, b, to_a);
    for (int32_t m = 0; m < plan.filters; ++m) {
      const T* weights = filters + int64_t{m} * plan.bins();
      vec<T> sum{};
      for (int64_t k = ranges[2 * m]; k < ranges[2 * m + 1]; ++k) {
        sum = madd(broadcast(weights[k]), load<T>(to_a + k * n), sum);
      }
      if (plan.floor > 0) sum = log_above(sum, static_cast<T>(plan.floor));
      T* to = mel + m * plan.frames + t;
      if (t + n <= last) {
        store<T>(to, sum);
      } else {
        std::memcpy(to, &sum, sizeof(T) * (last - t));
      }
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
