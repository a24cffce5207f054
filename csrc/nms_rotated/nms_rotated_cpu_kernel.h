#include "common/rotated/rotated_block.h"

namespace fastcv::FASTCV_ISA {

// Boxes in order of falling score in; the ranks of the kept ones out. threshold >= 0.
template <typename T>
int64_t nms_rotated(const RotatedBox<T>* boxes, int64_t n, T threshold, uint32_t* kept) {
  constexpr int size = RotatedBlock<T>::size;
  const auto blocks = make_buffer<RotatedBlock<T>>(ceil_div(n, size));
  int64_t count = 0, filed = 0;
  for (int64_t i = 0; i < n; ++i) {
    const RotatedBox<T> b = boxes[i];
    if (b.w == 0) {  // empty: overlaps nothing
      kept[count++] = static_cast<uint32_t>(i);
      continue;
    }
    const T radius = bounding_radius(b);
    bool suppressed = false;
    for (int64_t k = 0; k * size < filed && !suppressed; ++k) {
      const RotatedBlock<T>& block = blocks[k];
      if (!block.near(b, radius)) continue;
      std::conditional_t<sizeof(T) == 4, int32_t, int64_t> above = 0;
      for (int lane = 0; lane < size; ++lane) above |= iou(block.box(lane), b) > threshold;
      suppressed = above != 0;
    }
    if (suppressed) continue;
    RotatedBlock<T>& block = blocks[filed / size];
    if (filed % size == 0) block.clear();
    block.set(filed % size, b);
    ++filed;
    kept[count++] = static_cast<uint32_t>(i);
  }
  return count;
}

}  // namespace fastcv::FASTCV_ISA
