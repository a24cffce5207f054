// The highest value of a few vectors at a time, then its place among those.
namespace fastcv::FASTCV_ISA {

// The first of the highest of n cells; -1 where one is NaN.
template <typename T, typename Acc>
int64_t highest_cell(const T* heatmap, int64_t n) {
  typedef std::conditional_t<sizeof(Acc) == 4, int32_t, int64_t> mask
      __attribute__((vector_size(FASTCV_VECTOR_BYTES)));
  constexpr int64_t step = lanes<Acc>, at_once = 32 * step;
  const vec<Acc> lowest = broadcast(-std::numeric_limits<Acc>::infinity());
  mask odd{};
  Acc best = lowest[0];
  int64_t found = 0;
  bool any = false;
  for (int64_t begin = 0; begin < n; begin += at_once) {
    const int64_t end = begin + at_once < n ? begin + at_once : n;
    vec<Acc> a = lowest, b = lowest;
    int64_t i = begin;
    for (; i + 2 * step <= end; i += 2 * step) {
      const vec<Acc> v = load<Acc>(heatmap + i), w = load<Acc>(heatmap + i + step);
      a = v > a ? v : a, b = w > b ? w : b;
      odd |= (mask)(v != v) | (mask)(w != w);
    }
    a = b > a ? b : a;
    Acc highest = lowest[0];
    for (int k = 0; k < step; ++k) highest = a[k] > highest ? a[k] : highest;
    for (; i < end; ++i) {
      const Acc value = static_cast<Acc>(heatmap[i]);
      highest = value > highest ? value : highest;
      odd[0] |= value != value;
    }
    if (highest > best || !any) best = highest, found = begin, any = true;
  }
  for (int k = 0; k < step; ++k) {
    if (odd[k] != 0) return -1;
  }
  while (static_cast<Acc>(heatmap[found]) != best) ++found;
  return found;
}

}  // namespace fastcv::FASTCV_ISA
