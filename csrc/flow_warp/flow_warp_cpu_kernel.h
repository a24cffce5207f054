// Of many channels a pixel's lie side by side: a corner is a vector, whichever way the flow points.
// Of few, a vector is as many pixels of a row.
namespace fastcv::FASTCV_ISA {

// `channels` is a multiple of 16. From -0, so that a sum of one pixel is that pixel.
template <typename Acc, typename In, typename Out>
void warp_pixels(const Sample<Acc>* samples, int64_t count, const In* pixels, int64_t channels,
                 Out* out) {
  for (int64_t p = 0; p < count; ++p, out += channels) {
    const Sample<Acc>& s = samples[p];
    if (s.outside()) {
      for (int64_t c = 0; c < channels; c += lanes<Acc>) store<Acc>(out + c, vec<Acc>{});
      continue;
    }
    for (int64_t c = 0; c < channels; c += lanes<Acc>) {
      vec<Acc> sum = broadcast(Acc(-0.0));
      for (int k = 0; k < 4; ++k) {
        if (s.weight[k] == 0) continue;
        const vec<Acc> x = load<Acc>(pixels + s.pixel[k] * channels + c);
        sum = madd(broadcast(s.weight[k]), x, sum);
      }
      store<Acc>(out + c, sum);
    }
  }
}

// The same of one channel where it lies, from pixel to pixel `stride` apart.
template <typename Acc, typename T>
void warp_plane(const Sample<Acc>* samples, int64_t count, const T* plane, int64_t stride, T* out) {
  for (int64_t p = 0; p < count; ++p, out += stride) {
    const Sample<Acc>& s = samples[p];
    if (s.outside()) {
      *out = static_cast<T>(Acc(0));
      continue;
    }
    Acc sum = Acc(-0.0);
    for (int k = 0; k < 4; ++k) {
      if (s.weight[k] != 0)
        sum = madd(s.weight[k], static_cast<Acc>(plane[s.pixel[k] * stride]), sum);
    }
    *out = static_cast<T>(sum);
  }
}

// from[at[i]] and the element behind it. Two neighbours in one load: a gather of both takes several
// times as long on most processors.
struct Neighbours {
  vec<float> first, second;
};

template <size_t... i>
inline Neighbours load_neighbours(const float* from, const int32_t* at, std::index_sequence<i...>) {
  constexpr int half = sizeof...(i);
  const auto both = [&](size_t k) {
    double two;
    std::memcpy(&two, from + at[k], sizeof two);
    return two;
  };
  const vec<float> a = (vec<float>)vec<double>{both(i)...};
  const vec<float> b = (vec<float>)vec<double>{both(half + i)...};
  return {__builtin_shufflevector(a, b, static_cast<int>(2 * i)...,
                                  static_cast<int>(2 * (half + i))...),
          __builtin_shufflevector(a, b, static_cast<int>(2 * i + 1)...,
                                  static_cast<int>(2 * (half + i) + 1)...)};
}

// warp_sample.h's unmoved and axis_position for a vector of positions.
inline vec<float> unmoved(vec<int32_t> i, int size, int out_size, bool align_corners) {
  const vec<float> x = __builtin_convertvector(i, vec<float>);
  if (size == out_size) return x;
  if (!align_corners) {
    return (x + 0.5f) * static_cast<float>(size) / static_cast<float>(out_size) - 0.5f;
  }
  return out_size > 1 ? x * static_cast<float>(size - 1) / static_cast<float>(out_size - 1)
                      : vec<float>{};
}

// Between the neighbours `first` and `first` + 1, both in the image. Before the first pixel and
// behind the last one there is but one neighbour, and it is the pair's first or second.
struct AxisOfMany {
  vec<int32_t> first, inside, before, behind, moves;  // but for `first` all bits of a lane, or none
  vec<float> fraction;
};

// `size` is at least 2.
inline AxisOfMany axis_of_many(vec<float> position, int size, bool border) {
  const vec<float> zero{}, last = broadcast(static_cast<float>(size - 1));
  vec<int32_t> moves = zero == zero;
  if (border) {
    moves = (position > zero) & (position < last);
    position = position <= zero ? zero : position >= last ? last : position;
  }
  const vec<int32_t> inside = (position > -1.0f) & (position < static_cast<float>(size));
  position = inside ? position : zero;
  const vec<float> cut =
      __builtin_convertvector(__builtin_convertvector(position, vec<int32_t>), vec<float>);
  const vec<float> whole = cut > position ? cut - 1.0f : cut;
  const vec<int32_t> low = __builtin_convertvector(whole, vec<int32_t>);
  const vec<int32_t> before = low<0, behind = low> size - 2;
  return {
      before ? low + 1 : behind ? low - 1 : low, inside, before, behind, moves, position - whole};
}

// What the pair's pixels weigh.
inline Neighbours weights(const AxisOfMany& at) {
  const vec<float> zero{}, of_low = 1.0f - at.fraction;
  return {at.before   ? at.fraction
          : at.behind ? zero
                      : of_low,
          at.before   ? zero
          : at.behind ? of_low
                      : at.fraction};
}

// The lower and the higher neighbour's of a pair of values; 0 of one that is not there.
inline Neighbours in_order(const AxisOfMany& at, Neighbours pair) {
  const vec<float> zero{};
  return {at.before   ? zero
          : at.behind ? pair.second
                      : pair.first,
          at.before   ? pair.first
          : at.behind ? zero
                      : pair.second};
}

// A vector of pixels of one row.
struct ManySamples {
  AxisOfMany x, y;
  int32_t at[lanes<float>];  // the upper left pixel

  vec<int32_t> inside() const { return x.inside & y.inside; }
};

// Part of a vector: the other lanes are 0.
inline vec<float> load_part(const float* p, int64_t n) {
  vec<float> v{};
  if (n == lanes<float>) return load<float>(p);
  std::memcpy(&v, p, n * sizeof(float));
  return v;
}
inline void store_part(float* p, vec<float> v, int64_t n) {
  if (n == lanes<float>) return store<float>(p, v);
  std::memcpy(p, &v, n * sizeof(float));
}

// f(samples, pixel, how many) for `count` pixels from `first` on.
template <typename F>
inline void for_each_vector(const WarpShape& s, const float* flow, int64_t first, int64_t count,
                            F f) {
  constexpr int wide = lanes<float>;
  vec<int32_t> lane;
  for (int i = 0; i < wide; ++i) lane[i] = i;
  int row = static_cast<int>(first / s.out_width), column = static_cast<int>(first % s.out_width);
  for (int64_t p = first, n; p < first + count; p += n, column += static_cast<int>(n)) {
    if (column == s.out_width) column = 0, ++row;
    n = std::min({int64_t{wide}, int64_t{s.out_width} - column, first + count - p});
    const vec<float> x = unmoved(lane + column, s.width, s.out_width, s.align_corners);
    const vec<float> y = unmoved(row - vec<int32_t>{}, s.height, s.out_height, s.align_corners);
    ManySamples samples{
        axis_of_many(x + load_part(flow + p, n), s.width, s.border),
        axis_of_many(y + load_part(flow + s.out_pixels() + p, n), s.height, s.border),
        {}};
    const vec<int32_t> at = samples.y.first * s.width + samples.x.first;
    std::memcpy(samples.at, &at, sizeof at);
    f(samples, p, n);
  }
}

// The four corners of one channel, row by row.
inline void load_corners(const WarpShape& s, const float* plane, const int32_t* at,
                         vec<float> (&corner)[4]) {
  constexpr auto halves = std::make_index_sequence<lanes<float> / 2>();
  const Neighbours above = load_neighbours(plane, at, halves);
  const Neighbours below = load_neighbours(plane + s.width, at, halves);
  corner[0] = above.first, corner[1] = above.second;
  corner[2] = below.first, corner[3] = below.second;
}

// Pixels of all channels where they lie. The input has at least 2 x 2 pixels.
inline void warp_planes(const WarpShape& s, const float* flow, int64_t first, int64_t count,
                        const float* input, float* output) {
  for_each_vector(s, flow, first, count, [&](const ManySamples& samples, int64_t p, int64_t n) {
    const Neighbours x = weights(samples.x), y = weights(samples.y);
    const vec<float> weight[4] = {y.first * x.first, y.first * x.second, y.second * x.first,
                                  y.second * x.second};
    for (int64_t c = 0; c < s.channels; ++c) {
      vec<float> corner[4], sum = broadcast(-0.0f);
      load_corners(s, input + c * s.pixels(), samples.at, corner);
      for (int k = 0; k < 4; ++k) {
        const vec<float> with = madd(weight[k], corner[k], sum);
        sum = weight[k] != 0.0f ? with : sum;
      }
      sum = samples.inside() ? sum : vec<float>{};
      store_part(output + c * s.out_pixels() + p, sum, n);
    }
  });
}

// The flow's gradient of the same: flow_gradient of warp_sample.h for vectors.
inline void unwarp_flow(const WarpShape& s, const float* flow, int64_t first, int64_t count,
                        const float* grad, const float* input, float* grad_flow) {
  for_each_vector(s, flow, first, count, [&](const ManySamples& samples, int64_t p, int64_t n) {
    vec<float> dot[4] = {};
    for (int64_t c = 0; c < s.channels; ++c) {
      vec<float> corner[4];
      load_corners(s, input + c * s.pixels(), samples.at, corner);
      const vec<float> by_output = load_part(grad + c * s.out_pixels() + p, n);
      for (int k = 0; k < 4; ++k) dot[k] = madd(by_output, corner[k], dot[k]);
    }
    const AxisOfMany &x = samples.x, &y = samples.y;
    const Neighbours left_right[2] = {in_order(x, {dot[0], dot[1]}), in_order(x, {dot[2], dot[3]})};
    const Neighbours left = in_order(y, {left_right[0].first, left_right[1].first});
    const Neighbours right = in_order(y, {left_right[0].second, left_right[1].second});
    const vec<float> by_x = (1.0f - y.fraction) * right.first + y.fraction * right.second -
                            ((1.0f - y.fraction) * left.first + y.fraction * left.second);
    const vec<float> by_y = (1.0f - x.fraction) * left.second + x.fraction * right.second -
                            ((1.0f - x.fraction) * left.first + x.fraction * right.first);
    const vec<int32_t> inside = samples.inside();
    store_part(grad_flow + p, (inside & x.moves) ? by_x : vec<float>{}, n);
    store_part(grad_flow + s.out_pixels() + p, (inside & y.moves) ? by_y : vec<float>{}, n);
  });
}

template <typename Acc>
Acc sum_of_16(const Acc* a, const Acc* b) {
  vec<Acc> sum = {};
  for (int c = 0; c < block_channels; c += lanes<Acc>) {
    sum = madd(load<Acc>(a + c), load<Acc>(b + c), sum);
  }
  Acc all = 0;
  for (int i = 0; i < lanes<Acc>; ++i) all += sum[i];
  return all;
}

// Of 16 channels or of one. Adds each pixel's gradient to the input's, and its products with the
// corners to `dots`, four a pixel; either may be null.
template <int channels, typename Acc>
void unwarp_pixels(const Sample<Acc>* samples, int64_t count, const Acc* grad, const Acc* pixels,
                   Acc* grad_pixels, Acc* dots) {
  for (int64_t p = 0; p < count; ++p, grad += channels) {
    const Sample<Acc>& s = samples[p];
    if (s.outside()) continue;
    for (int k = 0; k < 4; ++k) {
      const int64_t at = int64_t{s.pixel[k]} * channels;
      if (dots != nullptr) {
        if constexpr (channels == 1) {
          dots[p * 4 + k] += *grad * pixels[at];
        } else {
          dots[p * 4 + k] += sum_of_16(grad, pixels + at);
        }
      }
      if (grad_pixels == nullptr || s.weight[k] == 0) continue;
      if constexpr (channels == 1) {
        grad_pixels[at] = madd(s.weight[k], *grad, grad_pixels[at]);
      } else {
        for (int c = 0; c < block_channels; c += lanes<Acc>) {
          Acc* to = grad_pixels + at + c;
          store<Acc>(to, madd(broadcast(s.weight[k]), load<Acc>(grad + c), load<Acc>(to)));
        }
      }
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
