// Greedy NMS that compares a box only with kept boxes near it and near its size: exact, and linear
// in practice where the number of boxes that share a place is bounded.
//
// Two facts prune. Let a box with sides w x h be suppressed by a kept box with sides kw x kh, so
// that their computed IoU exceeds the threshold t. The computed IoU carries the rounding of a dozen
// operations, so the exact one exceeds t' = t (1 - 64 epsilon). Then along x the overlap is longer
// than t' max(w, kw), for the overlap along y is at most min(h, kh) and the union at least the
// larger box. The same holds along y. Hence
//   - the sides differ by less than a factor 1 / t'. Kept boxes are filed by size class, wide
//     enough that few classes come in question;
//   - the centres differ along x by at most (w + kw) / 2 - t' max(w, kw), for two intervals never
//     overlap by more than (w + kw) / 2 less the distance of their centres. Within its class a kept
//     box is filed under the cell that has its centre.
// The rounding bound fails where areas underflow; where any box is that small, t' = 0 serves: a
// computed IoU above t >= 0 needs an intersection above 0, and the difference of two floating-point
// numbers is above 0 only if it is exactly so.
//
// Boxes that are empty, inverted, or whose area is not finite neither suppress nor are suppressed
// at t >= 0: their intersection is 0, or their union infinite or NaN. They are kept and not filed.
//
// Centres, sides and cells are computed in double from T; `slack` is far above what that rounds.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "common/cpu/buffer.h"
#include "common/cpu/huge_pages.h"
#include "nms/nms_cpu.h"

namespace fastcv {
namespace {

// A size's binade and place within it, linearly: rises with the size, by 1 for a factor of 2.
double linear_log2(double size) {
  return static_cast<double>(std::bit_cast<int64_t>(size)) * 0x1p-52;
}

// How far linear_log2 of two sizes can differ at most when they differ by a factor below `ratio`.
double linear_log2_span(double ratio) {
  const double whole = std::floor(std::log2(ratio));
  const double rest = ratio / std::exp2(whole);  // in [1, 2), up to rounding
  return whole + std::max(2 - 2 / rest, 0.0) + 1e-9;
}

constexpr uint32_t none = 0xffffffffu;

struct SizeClass {
  double largest = 0;  // side of any box in it
  double cells_per_unit = 0;
  int64_t kept = 0;
  uint32_t last = none;  // the box filed last
};

template <typename T>
struct KeptBox {
  Box<T> box;
  T area;
  uint32_t next;           // in the same bucket
  uint32_t next_in_class;  // in the same size class
};

// A tile is 8 x 8 cells of one size class. Its hash picks a word with one bit per cell, set when a
// box was filed in that cell, so that one load answers for all cells in reach: mostly "none". Tiles
// may share a word and cells a bucket; that costs comparisons and changes nothing.
uint64_t tile_hash(uint32_t tile_x, uint32_t tile_y, uint64_t size_class) {
  uint64_t h = ((uint64_t{tile_x} << 32 | tile_y) + size_class * 0xd1b54a32d192ed03u);
  h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
  return (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
}

// The bits of the cells in columns x_begin..x_end and rows y_begin..y_end of a tile, each in 0..7.
uint64_t tile_mask(int x_begin, int x_end, int y_begin, int y_end) {
  const uint64_t row = (0xffu << x_begin) & (0xffu >> (7 - x_end));
  const uint64_t rows = (~uint64_t{0} << (8 * y_begin)) & (~uint64_t{0} >> (8 * (7 - y_end)));
  return row * 0x0101010101010101u & rows;
}

template <typename T>
bool inert(const Box<T>& b, T area) {
  return !(b.x1 < b.x2 && b.y1 < b.y2 && area <= std::numeric_limits<T>::max());
}

template <typename T>
double longer_side(const Box<T>& b) {
  return std::max(double(b.x2) - double(b.x1), double(b.y2) - double(b.y1));
}

// The exact test, in torchvision's arithmetic. The product spares most divisions (see
// maybe_any_above in nms_cpu_kernel.h; at threshold 0 it spares none and loses none).
template <typename T>
bool suppresses(const KeptBox<T>& k, const Box<T>& b, T area, T threshold) {
  const T inter = intersection(k.box, b);
  const T all = k.area + area - inter;
  return inter >= threshold * all && inter / all > threshold;
}

template <typename T>
class Grid {
 public:
  Grid(const Box<T>* boxes, int64_t n, T threshold) : threshold_(threshold) {
    double smallest = std::numeric_limits<double>::infinity(), largest = 0, farthest = 0;
    T smallest_area = std::numeric_limits<T>::infinity();
    for (int64_t i = 0; i < n; ++i) {
      const Box<T>& b = boxes[i];
      const T area = fastcv::area(b);
      if (inert(b, area)) continue;
      const double side = longer_side(b);
      smallest = std::min(smallest, side);
      largest = std::max(largest, side);
      smallest_area = std::min(smallest_area, area);
      farthest = std::max({farthest, std::abs(double(b.x1)), std::abs(double(b.x2)),
                           std::abs(double(b.y1)), std::abs(double(b.y2))});
    }
    slack_ = farthest * 0x1p-48;

    // Underflow stays out of reach when areas and the threshold keep this far above it.
    constexpr T epsilon = std::numeric_limits<T>::epsilon();
    const bool bounded = threshold >= T(1e-3) &&
                         smallest_area >= std::numeric_limits<T>::min() / (epsilon * epsilon);
    safe_threshold_ = bounded ? double(threshold) * (1 - 64 * double(epsilon)) : 0;

    if (largest == 0) return;  // nothing to file
    const double span = bounded ? linear_log2_span(std::max(1 / safe_threshold_, 1.0)) : 1e9;
    class_span_ = std::max(std::ceil(span / 2), 1.0);
    class_width_ = bounded ? std::max(span / class_span_, 0.6) : 2;
    first_class_ = static_cast<int64_t>(linear_log2(smallest) / class_width_);
    classes_.resize(static_cast<int64_t>(linear_log2(largest) / class_width_) - first_class_ + 1);
    class_span_ = std::min(class_span_, double(classes_.size()));
    for (int64_t i = 0; i < n; ++i) {
      if (inert(boxes[i], fastcv::area(boxes[i]))) continue;
      const double side = longer_side(boxes[i]);
      SizeClass& c = classes_[class_of(side)];
      c.largest = std::max(c.largest, side);
    }
    for (SizeClass& c : classes_) {
      // Not finer than 32-bit cell numbers can count.
      c.cells_per_unit = 1 / std::max(c.largest * cell_per_side, farthest * 0x1p-29);
    }
    const int bits = std::max(8, static_cast<int>(std::bit_width(static_cast<uint64_t>(n))));
    word_shift_ = 64 - (bits - 2);  // n / 4 to n / 2 words, n to 2 n buckets
    bucket_shift_ = 64 - bits;
    occupied_ = std::make_unique<uint64_t[]>(size_t{1} << (bits - 2));
    buckets_ = make_buffer<uint32_t>(int64_t{1} << bits);
    advise_huge_pages(buckets_.get(), sizeof(uint32_t) << bits);
    std::fill_n(buckets_.get(), int64_t{1} << bits, none);
    filed_ = make_buffer<KeptBox<T>>(n);
    advise_huge_pages(filed_.get(), n * sizeof(KeptBox<T>));
  }

  int64_t run(const Box<T>* boxes, int64_t n, uint32_t* kept) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i) {
      const Box<T>& b = boxes[i];
      const T area = fastcv::area(b);
      if (!inert(b, area)) {
        const int64_t own = class_of(longer_side(b));
        if (is_suppressed(b, area, own)) continue;
        file(b, area, own);
      }
      kept[count++] = static_cast<uint32_t>(i);
    }
    return count;
  }

 private:
  static constexpr double cell_per_side = 0.25;

  int64_t class_of(double side) const {
    return static_cast<int64_t>(linear_log2(side) / class_width_) - first_class_;
  }

  static int32_t cell(double position, const SizeClass& c) {
    return static_cast<int32_t>(std::floor(position * c.cells_per_unit));
  }

  // How far along one axis the centre of a kept box of class c may be from that of a box with this
  // side: the largest (side + k) / 2 - t' max(side, k) over all k that come in question.
  double reach(double side, const SizeClass& c) const {
    const double t = safe_threshold_;
    const double k = std::min(c.largest, side / t);
    if (k <= side) return (side + k) / 2 - t * side + slack_;
    return std::max(side - t * side, (side + k) / 2 - t * k) + slack_;
  }

  bool is_suppressed(const Box<T>& b, T area, int64_t own) const {
    const int64_t span = static_cast<int64_t>(class_span_);
    if (in_class(b, area, own)) return true;
    for (int64_t d = 1; d <= span; ++d) {
      if (own + d < int64_t(classes_.size()) && in_class(b, area, own + d)) return true;
      if (own - d >= 0 && in_class(b, area, own - d)) return true;
    }
    return false;
  }

  bool in_class(const Box<T>& b, T area, int64_t size_class) const {
    const SizeClass& c = classes_[size_class];
    if (c.kept == 0) return false;
    const double cx = 0.5 * double(b.x1) + 0.5 * double(b.x2);
    const double cy = 0.5 * double(b.y1) + 0.5 * double(b.y2);
    const double rx = reach(double(b.x2) - double(b.x1), c);
    const double ry = reach(double(b.y2) - double(b.y1), c);
    const int32_t x_begin = cell(cx - rx, c), x_end = cell(cx + rx, c);
    const int32_t y_begin = cell(cy - ry, c), y_end = cell(cy + ry, c);
    // A low threshold lets a large box ask after far smaller ones; then looking at all of those may
    // be less than looking at all the places where they could be.
    const int64_t tiles =
        ((int64_t{x_end} >> 3) - (x_begin >> 3) + 1) * ((int64_t{y_end} >> 3) - (y_begin >> 3) + 1);
    if (tiles > c.kept) {
      for (uint32_t k = c.last; k != none; k = filed_[k].next_in_class) {
        if (suppresses(filed_[k], b, area, threshold_)) return true;
      }
      return false;
    }
    for (int32_t ty = y_begin >> 3; ty <= y_end >> 3; ++ty) {
      for (int32_t tx = x_begin >> 3; tx <= x_end >> 3; ++tx) {
        const uint64_t h = tile_hash(tx, ty, size_class);
        uint64_t cells = occupied_[h >> word_shift_];
        cells &= tile_mask(std::max(x_begin - tx * 8, 0), std::min(x_end - tx * 8, 7),
                           std::max(y_begin - ty * 8, 0), std::min(y_end - ty * 8, 7));
        for (; cells != 0; cells &= cells - 1) {
          const int bit = std::countr_zero(cells);
          for (uint32_t k = buckets_[bucket(h, bit)]; k != none; k = filed_[k].next) {
            if (suppresses(filed_[k], b, area, threshold_)) return true;
          }
        }
      }
    }
    return false;
  }

  void file(const Box<T>& b, T area, int64_t size_class) {
    SizeClass& c = classes_[size_class];
    ++c.kept;
    const int32_t x = cell(0.5 * double(b.x1) + 0.5 * double(b.x2), c);
    const int32_t y = cell(0.5 * double(b.y1) + 0.5 * double(b.y2), c);
    const uint64_t h = tile_hash(x >> 3, y >> 3, size_class);
    const int bit = (y & 7) * 8 + (x & 7);
    occupied_[h >> word_shift_] |= uint64_t{1} << bit;
    uint32_t& head = buckets_[bucket(h, bit)];
    filed_[filed_count_] = {b, area, head, c.last};
    head = c.last = filed_count_++;
  }

  uint32_t bucket(uint64_t tile, int bit) const {
    return static_cast<uint32_t>((tile + bit) * 0x9e3779b97f4a7c15u >> bucket_shift_);
  }

  T threshold_;
  double safe_threshold_;  // t' above
  double slack_;
  double class_span_ = 0;  // classes to either side that come in question
  double class_width_ = 1;
  int64_t first_class_ = 0;
  int word_shift_ = 63;
  int bucket_shift_ = 63;
  std::vector<SizeClass> classes_;
  std::unique_ptr<uint64_t[]> occupied_;
  Buffer<uint32_t> buckets_;  // the box filed last, then along `next`
  Buffer<KeptBox<T>> filed_;
  uint32_t filed_count_ = 0;
};

}  // namespace

template <typename T>
int64_t grid_nms(const Box<T>* boxes, int64_t n, T threshold, uint32_t* kept) {
  return Grid<T>(boxes, n, threshold).run(boxes, n, kept);
}

template int64_t grid_nms(const Box<float>*, int64_t, float, uint32_t*);
template int64_t grid_nms(const Box<double>*, int64_t, double, uint32_t*);

}  // namespace fastcv
