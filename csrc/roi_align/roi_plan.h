// RoIAlign is separable: a bin's mean is a weighted sum of rows of weighted sums of pixels. This is
// what the rows and the columns of a RoI weigh, worked out once and used for every channel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "common/roi_sampling.h"
#include "roi_align/aligned_roi.h"

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
  T per_sample;

  const Tap<T>* row(int p) const { return taps + first[p]; }
  const Tap<T>* column(int p) const { return taps + first[rows + p]; }
};

// RoIs worked out ahead, sorted by image and from top to bottom, so that one after the other reads
// what is still in the cache. The sums of a pixel's gradient run in this order, whatever the
// threads.
template <typename T>
class RoiPlan {
 public:
  struct Roi {
    int64_t index, image;
    int32_t top, bottom;  // rows of the image it reads: [top, bottom)
    int64_t first;        // where its part of first_ begins
    int64_t pixels;       // how many it reads, bins together
    T per_sample;
  };

  // Plans rois[begin] and on, [count, 5], until they or some 16 MiB are used up; end() tells where.
  RoiPlan(const T* rois, int64_t begin, int64_t count, const RoiAlignOptions& options, int height,
          int width)
      : pooled_height_(options.pooled_height), pooled_width_(options.pooled_width) {
    constexpr size_t most = (size_t{16} << 20) / sizeof(Tap<T>);
    for (end_ = begin; end_ < count && taps_.size() + first_.size() < most; ++end_) {
      const T* r = rois + end_ * 5;
      const AlignedRoi<T> bins = aligned_roi(r + 1, options);
      Roi roi{end_, static_cast<int64_t>(r[0]), height, 0, std::ssize(first_), 0, bins.per_sample};
      const int64_t rows = append(bins.rows, height);
      for (size_t i = taps_.size() - rows; i < taps_.size(); ++i) {
        roi.top = std::min(roi.top, taps_[i].pixel);
        roi.bottom = std::max(roi.bottom, taps_[i].pixel + 1);
      }
      roi.pixels = rows * append(bins.columns, width);
      rois_.push_back(roi);
    }
    std::sort(rois_.begin(), rois_.end(), [](const Roi& a, const Roi& b) {
      return std::tie(a.image, a.top, a.index) < std::tie(b.image, b.top, b.index);
    });
  }

  int64_t end() const { return end_; }
  std::span<const Roi> rois() const { return rois_; }

  std::span<const Roi> of_image(int64_t image) const {
    const auto [begin, end] =
        std::equal_range(rois_.begin(), rois_.end(), image,
                         [](const auto& a, const auto& b) { return image_of(a) < image_of(b); });
    return {begin, end};
  }

  RoiTaps<T> taps(const Roi& roi) const {
    return {taps_.data(), first_.data() + roi.first, pooled_height_ + 1, roi.per_sample};
  }

 private:
  static int64_t image_of(const Roi& roi) { return roi.image; }
  static int64_t image_of(int64_t image) { return image; }

  int64_t append(const Bins<T>& bins, int size) {
    const size_t begin = taps_.size();
    for (int p = 0; p < bins.pooled; ++p) {
      first_.push_back(static_cast<int32_t>(taps_.size()));
      append_taps(bins, p, size, taps_);
    }
    first_.push_back(static_cast<int32_t>(taps_.size()));
    return static_cast<int64_t>(taps_.size() - begin);
  }

  int pooled_height_, pooled_width_;
  int64_t end_;
  std::vector<Roi> rois_;
  std::vector<Tap<T>> taps_;
  std::vector<int32_t> first_;
};

}  // namespace fastcv
