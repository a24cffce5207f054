#include "common/rotated/rotated_block.h"

namespace fastcv::FASTCV_ISA {

// Rows begin..end of iou[i, j] for boxes1[i] and m boxes2[j].
template <typename T, typename Out>
void box_iou_rotated(const RotatedBox<T>* boxes1, const RotatedBox<T>* boxes2, int64_t m,
                     int64_t begin, int64_t end, Out* iou_out) {
  constexpr int size = RotatedBlock<T>::size;
  constexpr int64_t tile = 512;  // boxes2 at a time, so that they stay in the first-level cache
  RotatedBlock<T> blocks[tile / size];
  for (int64_t first = 0; first < m; first += tile) {
    const int64_t last = std::min(m, first + tile);
    for (int64_t j = first; j < last; ++j) {
      RotatedBlock<T>& block = blocks[(j - first) / size];
      if ((j - first) % size == 0) block.clear();
      block.set((j - first) % size, boxes2[j]);
    }
    for (int64_t i = begin; i < end; ++i) {
      const RotatedBox<T> a = boxes1[i];
      const T radius = bounding_radius(a);
      for (int64_t j = first; j < last; j += size) {
        const RotatedBlock<T>& block = blocks[(j - first) / size];
        T ious[size] = {};
        if (block.near(a, radius)) {
          for (int lane = 0; lane < size; ++lane) ious[lane] = iou(a, block.box(lane));
        }
        const int64_t lanes = std::min<int64_t>(size, last - j);
        Out* out = iou_out + i * m + j;
        for (int64_t lane = 0; lane < lanes; ++lane) out[lane] = static_cast<Out>(ious[lane]);
      }
    }
  }
}

}  // namespace fastcv::FASTCV_ISA
