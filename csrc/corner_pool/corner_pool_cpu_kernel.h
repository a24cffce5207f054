// Sixteen lines side by side, pixel after pixel: line r's pixel i is at [i * 16 + r].
namespace fastcv::FASTCV_ISA {

// The largest so far, in place; NaN is larger than all else.
template <typename Acc>
void pool_lines_of_16(Acc* lines, int64_t length, bool backwards) {
  for (int j = 0; j < block_channels; j += lanes<Acc>) {
    vec<Acc> max = broadcast(-std::numeric_limits<Acc>::infinity());
    for (int64_t n = 0; n < length; ++n) {
      Acc* at = lines + (backwards ? length - 1 - n : n) * block_channels + j;
      const vec<Acc> x = load<Acc>(at);
      max = (x >= max) | (x != x) ? x : max;
      store<Acc>(at, max);
    }
  }
}

// In place of the gradient by the largest so far, that by the pixels: each gets what lies between
// it and the next that is larger. A pixel is its own largest where the two are equal.
template <typename Acc>
void unpool_lines_of_16(const Acc* input, const Acc* output, Acc* grad, int64_t length,
                        bool backwards) {
  for (int j = 0; j < block_channels; j += lanes<Acc>) {
    vec<Acc> sum = {};
    for (int64_t n = length - 1; n >= 0; --n) {
      const int64_t at = (backwards ? length - 1 - n : n) * block_channels + j;
      const vec<Acc> x = load<Acc>(input + at);
      const auto is_largest = (x == load<Acc>(output + at)) | (x != x);
      sum += load<Acc>(grad + at);
      store<Acc>(grad + at, is_largest ? sum : vec<Acc>{});
      sum = is_largest ? vec<Acc>{} : sum;
    }
  }
}

// Between memory and 16 lines side by side; `count` of them are there.
template <typename T, typename Acc>
void load_lines(const T* from, int64_t length, int64_t inner, int count, Acc* lines) {
  if (inner == 1) return interleave<T, Acc>(from, length, count, length, lines);
  for (int64_t i = 0; i < length; ++i) widen(from + i * inner, count, lines + i * block_channels);
}
template <typename T, typename Acc>
void store_lines(const Acc* lines, int64_t length, int64_t inner, int count, T* to) {
  if (inner == 1) return deinterleave<T, Acc>(lines, length, count, length, to);
  for (int64_t i = 0; i < length; ++i) {
    round_to(lines + i * block_channels, count, to + i * inner);
  }
}

}  // namespace fastcv::FASTCV_ISA
