// A box against all that score better, a few registers of them at a time.
namespace fastcv::FASTCV_ISA {

// Marks the boxes that overlap no better one too much. n boxes in order of falling score, by
// coordinate.
template <typename T>
void fast_nms(const T* __restrict__ x1, const T* __restrict__ y1, const T* __restrict__ x2,
              const T* __restrict__ y2, int64_t n, T threshold, uint8_t* __restrict__ kept) {
  using Mask = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;  // as wide as T
  constexpr int64_t at_once = 4 * FASTCV_VECTOR_BYTES / sizeof(T);
  for (int64_t j = 0; j < n; ++j) {
    const Box<T> box{x1[j], y1[j], x2[j], y2[j]};
    const T own = area(box);
    Mask above = 0;
    for (int64_t begin = 0; begin < j && above == 0; begin += at_once) {
      const int64_t end = begin + at_once < j ? begin + at_once : j;
      for (int64_t i = begin; i < end; ++i) {
        const Box<T> better{x1[i], y1[i], x2[i], y2[i]};
        const T inter = intersection(better, box);
        above |= inter / (area(better) + own - inter) > threshold;
      }
    }
    kept[j] = above == 0;
  }
}

}  // namespace fastcv::FASTCV_ISA
