// On the CPU, for RoI ops that are separable: a bin's mean is a weighted sum of rows of weighted
// sums of pixels. What rows and columns weigh is worked out once and used for every channel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "common/roi/roi_sampling.h"

namespace fastcv {

template <typename T>
struct Tap {
  int32_t pixel;  // along one axis
  T weight;
};

// Appends what bin p of `bins` takes from each pixel, samples on the same pixel added up.
template <typename T>
void append_taps(const Bins<T>& bins, int p, int size, std::vector<Tap<T>>& taps) {
  const size_t begin = taps.size();
  const auto add = [&](int pixel, T weight) {
    // Samples go one way, so a pixel met before is one of the last two.
    for (size_t i = taps.size(); i-- > begin && i + 2 >= taps.size();) {
      if (taps[i].pixel == pixel) {
        taps[i].weight += weight;
        return;
      }
    }
    taps.push_back({pixel, weight});
  };
  const Range samples = samples_between(bins, p, T(-1), static_cast<T>(size));
  for (int i = samples.begin; i < samples.end; ++i) {
    const AxisSample<T> s = axis_sample(bins.position(p, i), size);
    if (s.low_weight == 0 && s.high_weight == 0) continue;  // outside
    add(s.low, s.low_weight);
    if (s.high != s.low) add(s.high, s.high_weight);
  }
}

// The taps of one RoI.
template <typename T>
struct RoiTaps {
  const Tap<T>* taps;
  const int32_t* first;  // row bin p: first[p] .. first[p + 1]; then the column bins
  int rows;
  T per_sample;  // 1 / samples in a bin; 0: a bin's mean is that of its taps

  const Tap<T>* row(int p) const { return taps + first[p]; }
  const Tap<T>* column(int p) const { return taps + first[rows + p]; }
  int64_t count(int i, int j) const {
    return (row(i + 1) - row(i)) * int64_t{column(j + 1) - column(j)};
  }
  // What the sum over bin (i, j) is divided by.
  T divisor(int i, int j) const {
    return per_sample > 0 ? 1 / per_sample : static_cast<T>(std::max<int64_t>(count(i, j), 1));
  }
};

struct OrderedRoi {
  int64_t index, image;
  int32_t top, bottom;  // it reads rows [top, bottom) of the image
  int32_t left;         // and columns from here on
  int64_t pixels;       // how many, bins together
};

// In the order of work: by image, and along strips of it, so that one RoI after the other reads
// what is still in the cache. The sums of a pixel's gradient run in this order, whatever the
// threads.
inline void put_in_order(std::vector<OrderedRoi>& rois) {
  constexpr int32_t strip = 32;
  std::sort(rois.begin(), rois.end(), [](const OrderedRoi& a, const OrderedRoi& b) {
    return std::tuple(a.image, a.top / strip, a.left, a.index) <
           std::tuple(b.image, b.top / strip, b.left, b.index);
  });
}

inline std::span<const OrderedRoi> of_image(std::span<const OrderedRoi> rois, int64_t image) {
  const auto [begin, end] = std::ranges::equal_range(rois, image, {}, &OrderedRoi::image);
  return {begin, end};
}

// The taps of RoIs, worked out ahead.
template <typename T>
class RoiPlan {
 public:
  // Plans rois[begin] and on, [count, 5], until they or some 16 MiB are used up; end() tells where.
  // separate(roi) gives rows and columns, for which append_taps is defined, and per_sample.
  template <typename Separate>
  RoiPlan(const T* rois, int64_t begin, int64_t count, int height, int width, Separate separate) {
    constexpr size_t max_taps = (size_t{16} << 20) / sizeof(Tap<T>);
    first_of_.push_back(0);
    begin_ = end_ = begin;
    for (; end_ < count && taps_.size() + first_.size() < max_taps; ++end_) {
      const T* r = rois + end_ * 5;
      const auto axes = separate(r + 1);
      OrderedRoi roi{end_, static_cast<int64_t>(r[0]), height, 0, width, 0};
      const int64_t rows = append(axes.rows, height);
      for (size_t i = taps_.size() - rows; i < taps_.size(); ++i) {
        roi.top = std::min(roi.top, taps_[i].pixel);
        roi.bottom = std::max(roi.bottom, taps_[i].pixel + 1);
      }
      row_bins_ = axes.rows.pooled;
      const int64_t columns = append(axes.columns, width);
      for (size_t i = taps_.size() - columns; i < taps_.size(); ++i) {
        roi.left = std::min(roi.left, taps_[i].pixel);
      }
      roi.pixels = rows * columns;
      per_sample_.push_back(axes.per_sample);
      first_of_.push_back(std::ssize(first_));
      rois_.push_back(roi);
    }
    put_in_order(rois_);
  }

  int64_t end() const { return end_; }
  std::span<const OrderedRoi> rois() const { return rois_; }

  RoiTaps<T> taps(const OrderedRoi& roi) const {
    const int64_t i = roi.index - begin_;
    return {taps_.data(), first_.data() + first_of_[i], row_bins_ + 1, per_sample_[i]};
  }

 private:
  template <typename Axis>
  int64_t append(const Axis& axis, int size) {
    const size_t begin = taps_.size();
    for (int p = 0; p < axis.pooled; ++p) {
      first_.push_back(static_cast<int32_t>(taps_.size()));
      append_taps(axis, p, size, taps_);
    }
    first_.push_back(static_cast<int32_t>(taps_.size()));
    return static_cast<int64_t>(taps_.size() - begin);
  }

  int64_t begin_, end_;
  int row_bins_ = 0;
  std::vector<OrderedRoi> rois_;
  std::vector<Tap<T>> taps_;
  std::vector<int32_t> first_;     // where a bin's taps begin
  std::vector<int64_t> first_of_;  // where a RoI's part of first_ begins
  std::vector<T> per_sample_;
};

}  // namespace fastcv
