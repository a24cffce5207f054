// Regions are wide: most pixels have the ids of the one before them.
namespace fastcv::FASTCV_ISA {

template <typename I>
inline bool is_zero(vec<I> v) {
#if FASTCV_VECTOR_BYTES == 64
  return _mm512_test_epi64_mask((__m512i)v, (__m512i)v) == 0;
#elif FASTCV_VECTOR_BYTES == 32
  return _mm256_testz_si256((__m256i)v, (__m256i)v);
#else
  typedef uint64_t halves __attribute__((vector_size(16)));
  const auto bits = (halves)v;
  return (bits[0] | bits[1]) == 0;
#endif
}

// The first pixel from `i` on that has another id in either map; n if none has.
template <typename I>
inline int64_t end_of_run(const I* predicted, const I* target, int64_t i, int64_t n) {
  const I p = predicted[i], t = target[i];
  ++i;
  if (i < n && predicted[i] == p && target[i] == t) {
    const vec<I> ps = broadcast(p), ts = broadcast(t);
    for (; i + lanes<I> <= n; i += lanes<I>) {
      const vec<I> differs = (load<I>(predicted + i) ^ ps) | (load<I>(target + i) ^ ts);
      if (!is_zero<I>(differs)) break;
    }
    while (i < n && predicted[i] == p && target[i] == t) ++i;
  }
  return i;
}

// table.add(pair, pixels) for each run of equal pixels. False: an id does not fit.
template <typename I, typename Table>
bool count_runs(const I* predicted, const I* target, int64_t n, Table& table) {
  for (int64_t i = 0; i < n;) {
    const int64_t end = end_of_run(predicted, target, i, n);
    if (!panoptic_ids_fit(predicted[i], target[i])) return false;
    table.add(panoptic_pair(predicted[i], target[i]), end - i);
    i = end;
  }
  return true;
}

}  // namespace fastcv::FASTCV_ISA
