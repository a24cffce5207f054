// Greedy NMS that compares each box with every kept one, a block of kept boxes at a time. Right for
// any input and threshold; the grid (nms_grid.cpp) is faster once there are thousands of boxes.
namespace fastcv::FASTCV_ISA {

// Kept boxes by coordinate. The last block is filled up with boxes of NaN area, whose IoU with
// anything is NaN and so above no threshold.
template <typename T>
struct KeptBlock {
  static constexpr int size = 4 * FASTCV_VECTOR_BYTES / sizeof(T);
  T x1[size], y1[size], x2[size], y2[size], area[size];
};

// As wide as T, so that a vector of comparisons needs no narrowing.
template <typename T>
using MaskOf = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

template <typename T>
inline Box<T> box_at(const KeptBlock<T>& k, int lane) {
  return {k.x1[lane], k.y1[lane], k.x2[lane], k.y2[lane]};
}

template <typename T>
inline bool any_above(const KeptBlock<T>& k, const Box<T>& b, T area, T threshold) {
  MaskOf<T> above = 0;
  for (int lane = 0; lane < KeptBlock<T>::size; ++lane) {
    const T inter = intersection(box_at(k, lane), b);
    above |= inter / (k.area[lane] + area - inter) > threshold;
  }
  return above != 0;
}

// True wherever any_above() is, for threshold > 0, and seldom elsewhere; spares the division. If
// the rounded quotient exceeds the threshold, so does the exact one: then inter > threshold * union
// > 0, and rounding the product to nearest cannot carry it past inter, which is a number itself.
template <typename T>
inline bool maybe_any_above(const KeptBlock<T>& k, const Box<T>& b, T area, T threshold) {
  MaskOf<T> above = 0;
  for (int lane = 0; lane < KeptBlock<T>::size; ++lane) {
    const T inter = intersection(box_at(k, lane), b);
    above |= inter >= threshold * (k.area[lane] + area - inter);
  }
  return above != 0;
}

// Boxes in order of falling score in; the ranks of the kept ones out. `blocks` has room for n
// boxes.
template <typename T>
int64_t all_pairs_nms_in(KeptBlock<T>* blocks, const Box<T>* boxes, int64_t n, T threshold,
                         uint32_t* kept) {
  constexpr int size = KeptBlock<T>::size;
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    const Box<T> b = boxes[i];
    const T box_area = area(b);
    const KeptBlock<T>* const end = blocks + ceil_div(count, size);
    bool suppressed = false;
    for (const KeptBlock<T>* k = blocks; k != end && !suppressed; ++k) {
      if (threshold > 0 && !maybe_any_above(*k, b, box_area, threshold)) continue;
      suppressed = any_above(*k, b, box_area, threshold);
    }
    if (suppressed) continue;
    KeptBlock<T>& k = blocks[count / size];
    const int lane = count % size;
    if (lane == 0) {
      for (int l = 0; l < size; ++l) {
        k.x1[l] = k.y1[l] = k.x2[l] = k.y2[l] = 0;
        k.area[l] = std::numeric_limits<T>::quiet_NaN();
      }
    }
    k.x1[lane] = b.x1;
    k.y1[lane] = b.y1;
    k.x2[lane] = b.x2;
    k.y2[lane] = b.y2;
    k.area[lane] = box_area;
    kept[count++] = static_cast<uint32_t>(i);
  }
  return count;
}

template <typename T>
int64_t all_pairs_nms(const Box<T>* boxes, int64_t n, T threshold, uint32_t* kept) {
  constexpr int size = KeptBlock<T>::size;
  if (n <= 4 * size) {  // a call with a few boxes should not wait for the allocator
    KeptBlock<T> blocks[4];
    return all_pairs_nms_in(blocks, boxes, n, threshold, kept);
  }
  const auto blocks = make_buffer<KeptBlock<T>>(ceil_div(n, size));
  return all_pairs_nms_in(blocks.get(), boxes, n, threshold, kept);
}

}  // namespace fastcv::FASTCV_ISA
