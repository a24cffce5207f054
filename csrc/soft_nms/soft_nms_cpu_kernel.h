// Soft-NMS over blocks of boxes that remember their best score: a round looks at every block for
// overlap, and computes weights and a new best only in blocks that have some.
namespace fastcv::FASTCV_ISA {

template <typename T>
struct SoftBlock {
  static constexpr int size = 2 * FASTCV_VECTOR_BYTES / sizeof(T);
  T x1[size], y1[size], x2[size], y2[size], area[size];
  T score[size];  // -infinity once selected or dropped
  uint32_t index[size];
  T best_score;
  int best_lane;  // the lowest lane with best_score

  Box<T> box(int lane) const { return {x1[lane], y1[lane], x2[lane], y2[lane]}; }

  void find_best() {
    best_score = score[0];
    for (int lane = 1; lane < size; ++lane) {
      best_score = best_score < score[lane] ? score[lane] : best_score;
    }
    best_lane = 0;
    while (score[best_lane] != best_score) ++best_lane;
  }
};

template <typename T>
using MaskFor = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// Lowers the scores in one block; returns how many boxes it dropped.
template <typename T>
int decay_block(SoftBlock<T>& block, const Box<T>& b, T box_area, const Decay<T>& decay) {
  constexpr int size = SoftBlock<T>::size;
  T iou[size];
  MaskFor<T> any = 0;
  for (int lane = 0; lane < size; ++lane) {
    const T inter = intersection(b, block.box(lane));
    iou[lane] = inter / (box_area + block.area[lane] - inter);
    any |= iou[lane] > decay.iou_threshold;
  }
  if (any == 0) return 0;
  int dropped = 0;
  for (int lane = 0; lane < size; ++lane) {
    if (iou[lane] > decay.iou_threshold && block.score[lane] != gone<T>()) {
      block.score[lane] = decay(block.score[lane], iou[lane]);
      dropped += block.score[lane] == gone<T>();
    }
  }
  block.find_best();
  return dropped;
}

// Fills blocks with the boxes still in play, in order; returns how many blocks they take. The
// source may be the same blocks.
template <typename T>
int64_t compact(SoftBlock<T>* blocks, int64_t count) {
  constexpr int size = SoftBlock<T>::size;
  int64_t out = 0;
  for (int64_t i = 0; i < count * size; ++i) {
    const SoftBlock<T>& from = blocks[i / size];
    const int lane = i % size;
    if (from.score[lane] == gone<T>()) continue;
    SoftBlock<T>& to = blocks[out / size];
    const int to_lane = out % size;
    to.x1[to_lane] = from.x1[lane];
    to.y1[to_lane] = from.y1[lane];
    to.x2[to_lane] = from.x2[lane];
    to.y2[to_lane] = from.y2[lane];
    to.area[to_lane] = from.area[lane];
    to.score[to_lane] = from.score[lane];
    to.index[to_lane] = from.index[lane];
    ++out;
  }
  const int64_t filled = ceil_div(out, size);
  for (; out < filled * size; ++out) blocks[out / size].score[out % size] = gone<T>();
  for (int64_t i = 0; i < filled; ++i) blocks[i].find_best();
  return filled;
}

// Selects among n boxes until none is left; returns how many it selected.
template <typename T>
int64_t soft_nms(const Box<T>* boxes, const T* scores, int64_t n, const Decay<T>& decay,
                 uint32_t* keep, T* kept_scores) {
  constexpr int size = SoftBlock<T>::size;
  int64_t blocks_in_use = ceil_div(n, size);
  const auto blocks = make_buffer<SoftBlock<T>>(blocks_in_use);
  int64_t left = 0;
  for (int64_t i = 0; i < blocks_in_use * size; ++i) {
    SoftBlock<T>& block = blocks[i / size];
    const int lane = i % size;
    const Box<T> b = i < n ? boxes[i] : Box<T>{0, 0, 0, 0};
    const bool in_play = i < n && decay.in_play(scores[i]);
    block.x1[lane] = b.x1;
    block.y1[lane] = b.y1;
    block.x2[lane] = b.x2;
    block.y2[lane] = b.y2;
    block.area[lane] = area(b);
    block.score[lane] = in_play ? scores[i] : gone<T>();
    block.index[lane] = static_cast<uint32_t>(i);
    left += in_play;
  }
  blocks_in_use = compact(blocks.get(), blocks_in_use);

  int64_t count = 0;
  while (left > 0) {
    int64_t best = 0;
    for (int64_t i = 1; i < blocks_in_use; ++i) {
      if (blocks[best].best_score < blocks[i].best_score) best = i;
    }
    SoftBlock<T>& block = blocks[best];
    const int lane = block.best_lane;
    const Box<T> b = block.box(lane);
    const T box_area = block.area[lane];
    keep[count] = block.index[lane];
    kept_scores[count++] = block.score[lane];
    block.score[lane] = gone<T>();
    block.find_best();
    --left;
    for (int64_t i = 0; i < blocks_in_use; ++i) {
      if (blocks[i].best_score == gone<T>()) continue;
      left -= decay_block(blocks[i], b, box_area, decay);
    }
    // Every halving pays for itself.
    if (left * 2 < (blocks_in_use - 1) * size) blocks_in_use = compact(blocks.get(), blocks_in_use);
  }
  return count;
}

}  // namespace fastcv::FASTCV_ISA
