#include "selective_search/grouping.h"

#include <algorithm>
#include <cmath>
#include <queue>

#include "common/host/ceil_div.h"
#include "selective_search/gaussian.h"

namespace fastcv {
namespace {

constexpr int64_t color_bins = 25, texture_bins = 10, directions = 8, lanes = 8;

// A region's histograms lie one behind the other: colour, zeros up to whole vectors, texture.
int64_t color_length(int64_t channels) { return round_up(channels * color_bins, lanes); }
int64_t texture_length(int64_t channels) { return channels * directions * texture_bins; }
int64_t histogram_length(int64_t channels) {
  return color_length(channels) + texture_length(channels);
}

int64_t bin_of(float share, int64_t bins) {
  return std::clamp<int64_t>(static_cast<int64_t>(share * static_cast<float>(bins)), 0, bins - 1);
}

// Both histograms have as many counts as their region has pixels, times `per_pixel`.
double intersection(const int32_t* a, const int32_t* b, int64_t length, double a_size,
                    double b_size, double per_pixel) {
  const float a_share = static_cast<float>(1 / (a_size * per_pixel));
  const float b_share = static_cast<float>(1 / (b_size * per_pixel));
  float sums[lanes] = {};
  for (int64_t i = 0; i < length; i += lanes) {
    for (int64_t k = 0; k < lanes; ++k) {
      const float x = static_cast<float>(a[i + k]) * a_share;
      const float y = static_cast<float>(b[i + k]) * b_share;
      sums[k] += x < y ? x : y;
    }
  }
  double sum = 0;
  for (const float s : sums) sum += s;
  return sum;
}

Region together(const Region& a, const Region& b) {
  return {a.size + b.size, std::min(a.x1, b.x1), std::min(a.y1, b.y1), std::max(a.x2, b.x2),
          std::max(a.y2, b.y2)};
}

struct Pair {
  double similarity;
  int32_t a, b;  // a < b
  // The most similar first; of equals those made first.
  bool operator<(const Pair& other) const {
    if (similarity != other.similarity) return similarity < other.similarity;
    return a != other.a ? a > other.a : b > other.b;
  }
};

}  // namespace

PixelBins pixel_bins(const float* planes, int64_t channels, int64_t height, int64_t width) {
  const int64_t pixels = height * width;
  constexpr int64_t axes = directions / 2;
  PixelBins bins{channels, channels * (1 + axes), {}};
  bins.places.resize(pixels * bins.per_pixel);
  const std::vector<float> smooth = gaussian(1), derivative = gaussian_derivative(1);
  for (int64_t c = 0; c < channels; ++c) {
    const float* plane = planes + c * pixels;
    const std::vector<float> dx = filtered(plane, height, width, derivative, smooth);
    const std::vector<float> dy = filtered(plane, height, width, smooth, derivative);
    float longest = 0;
    for (int64_t i = 0; i < pixels; ++i) {
      longest = std::max(longest, dx[i] * dx[i] + dy[i] * dy[i]);
    }
    const float scale = longest > 0 ? 1 / std::sqrt(longest) : 0;
    const float diagonal = std::sqrt(0.5f);
    for (int64_t i = 0; i < pixels; ++i) {
      uint16_t* place = &bins.places[i * bins.per_pixel + c * (1 + axes)];
      *place++ = static_cast<uint16_t>(c * color_bins + bin_of(plane[i], color_bins));
      // A derivative that is positive in a direction is negative in the opposite one, which
      // therefore counts in its lowest bin: segment_graph adds those.
      const float x = dx[i] * scale, y = dy[i] * scale;
      const float along[axes] = {x, (x + y) * diagonal, y, (y - x) * diagonal};
      for (int64_t axis = 0; axis < axes; ++axis) {
        const int64_t direction = along[axis] < 0 ? axis + axes : axis;
        *place++ = static_cast<uint16_t>(color_length(channels) +
                                         (c * directions + direction) * texture_bins +
                                         bin_of(std::abs(along[axis]), texture_bins));
      }
    }
  }
  return bins;
}

SegmentGraph segment_graph(const Segments& segments, const PixelBins& bins, int64_t height,
                           int64_t width) {
  const int64_t length = histogram_length(bins.channels);
  SegmentGraph graph{bins.channels, height * width, {}, {}, {}};
  graph.regions.assign(segments.count,
                       {0, static_cast<int32_t>(width), static_cast<int32_t>(height), 0, 0});
  graph.histograms.assign(segments.count * length, 0);
  for (int32_t y = 0; y < height; ++y) {
    for (int32_t x = 0; x < width; ++x) {
      const int64_t i = y * width + x;
      const int32_t label = segments.labels[i];
      graph.regions[label] = together(graph.regions[label], {1, x, y, x + 1, y + 1});
      int32_t* histogram = &graph.histograms[label * length];
      for (int64_t k = 0; k < bins.per_pixel; ++k) ++histogram[bins.places[i * bins.per_pixel + k]];
      for (const int64_t j : {x + 1 < width ? i + 1 : i, y + 1 < height ? i + width : i}) {
        const auto [low, high] = std::minmax(label, segments.labels[j]);
        if (low != high && (graph.touching.empty() ||
                            graph.touching.back() != std::array<int32_t, 2>{low, high})) {
          graph.touching.push_back({low, high});
        }
      }
    }
  }
  std::sort(graph.touching.begin(), graph.touching.end());
  graph.touching.erase(std::unique(graph.touching.begin(), graph.touching.end()),
                       graph.touching.end());
  for (int64_t label = 0; label < segments.count; ++label) {
    int32_t* histogram = &graph.histograms[label * length + color_length(bins.channels)];
    for (int64_t i = 0; i < bins.channels * directions; ++i, histogram += texture_bins) {
      int32_t counted = 0;
      for (int64_t k = 0; k < texture_bins; ++k) counted += histogram[k];
      histogram[0] += graph.regions[label].size - counted;
    }
  }
  return graph;
}

RegionTree group_regions(const SegmentGraph& graph, unsigned measures) {
  const int64_t count = graph.regions.size(), length = histogram_length(graph.channels);
  const int64_t texture_at = color_length(graph.channels);
  RegionTree tree;
  tree.regions = graph.regions;
  tree.regions.reserve(2 * count - 1);
  std::vector<int32_t> histograms = graph.histograms, row(2 * count - 1);  // a union takes a row
  std::vector<std::vector<int32_t>> neighbours(2 * count - 1);
  std::vector<char> merged(2 * count - 1, false);
  std::vector<int32_t> seen(2 * count - 1, -1);
  std::priority_queue<Pair> queue;

  const auto similarity = [&](int32_t i, int32_t j) {
    const Region &a = tree.regions[i], &b = tree.regions[j], both = together(a, b);
    const int32_t *x = &histograms[row[i] * length], *y = &histograms[row[j] * length];
    const double image = static_cast<double>(graph.pixels), channels = double(graph.channels);
    double sum = 0;
    if (measures & measure::color) sum += intersection(x, y, texture_at, a.size, b.size, channels);
    if (measures & measure::texture) {
      sum += intersection(x + texture_at, y + texture_at, length - texture_at, a.size, b.size,
                          channels * directions);
    }
    if (measures & measure::size) sum += 1 - both.size / image;
    if (measures & measure::fill) {
      sum += 1 - (double(both.x2 - both.x1) * (both.y2 - both.y1) - both.size) / image;
    }
    return sum;
  };

  for (int32_t i = 0; i < count; ++i) row[i] = i;
  for (const auto& [a, b] : graph.touching) {
    neighbours[a].push_back(b);
    neighbours[b].push_back(a);
    queue.push({similarity(a, b), a, b});
  }
  while (!queue.empty()) {
    const auto [_, a, b] = queue.top();
    queue.pop();
    if (merged[a] || merged[b]) continue;
    const int32_t both = static_cast<int32_t>(tree.regions.size());
    tree.regions.push_back(together(tree.regions[a], tree.regions[b]));
    tree.children.push_back({a, b});
    merged[a] = merged[b] = true;
    row[both] = row[a];
    int32_t* sum = &histograms[row[a] * length];
    const int32_t* added = &histograms[row[b] * length];
    for (int64_t k = 0; k < length; ++k) sum[k] += added[k];
    for (const int32_t child : {a, b}) {
      for (const int32_t other : neighbours[child]) {
        if (merged[other] || seen[other] == both) continue;
        seen[other] = both;
        neighbours[both].push_back(other);
        neighbours[other].push_back(both);
        queue.push({similarity(other, both), other, both});
      }
      std::vector<int32_t>().swap(neighbours[child]);
    }
  }
  return tree;
}

}  // namespace fastcv
