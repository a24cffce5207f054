#include "selective_search/graph_segmentation.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "selective_search/gaussian.h"

namespace fastcv {
namespace {

// Weights are 0 or more, so their bits as integers rise with them: three passes of counting sort.
void sort_by_weight(std::vector<PixelEdge>& edges) {
  constexpr int digit = 11, passes = 3;
  constexpr uint32_t values = 1u << digit;
  std::vector<std::array<uint32_t, values>> starts(passes);
  for (auto& counts : starts) counts.fill(0);
  const auto digit_of = [](const PixelEdge& e, int pass) {
    return std::bit_cast<uint32_t>(e.weight) >> (digit * pass) & (values - 1);
  };
  for (const PixelEdge& e : edges) {
    for (int pass = 0; pass < passes; ++pass) ++starts[pass][digit_of(e, pass)];
  }
  std::vector<PixelEdge> other(edges.size());
  for (int pass = 0; pass < passes; ++pass) {
    uint32_t start = 0;
    for (uint32_t& count : starts[pass]) start += std::exchange(count, start);
    for (const PixelEdge& e : edges) other[starts[pass][digit_of(e, pass)]++] = e;
    edges.swap(other);
  }
}

class Forest {
 public:
  Forest(int64_t pixels, float scale) : scale_(scale), nodes_(pixels) {
    for (int64_t i = 0; i < pixels; ++i) nodes_[i] = {static_cast<int32_t>(i), 1, scale};
  }

  int32_t root(int32_t i) {
    while (nodes_[i].parent != i) {
      nodes_[i].parent = nodes_[nodes_[i].parent].parent;  // halves the path for the next one
      i = nodes_[i].parent;
    }
    return i;
  }

  int32_t size(int32_t root) const { return nodes_[root].size; }
  float limit(int32_t root) const { return nodes_[root].limit; }

  void join(int32_t a, int32_t b, float weight) {
    if (nodes_[a].size < nodes_[b].size) std::swap(a, b);
    nodes_[b].parent = a;
    nodes_[a].size += nodes_[b].size;
    nodes_[a].limit = weight + scale_ / static_cast<float>(nodes_[a].size);
  }

 private:
  struct Node {
    int32_t parent, size;
    float limit;  // heavier edges do not join this region to another
  };
  float scale_;
  std::vector<Node> nodes_;
};

}  // namespace

PixelGraph pixel_graph(const float* planes, int64_t channels, int64_t height, int64_t width,
                       double sigma) {
  const int64_t pixels = height * width;
  std::vector<float> smooth(planes, planes + channels * pixels);
  if (sigma > 0) {
    const std::vector<float> kernel = gaussian(sigma);
    for (int64_t c = 0; c < channels; ++c) {
      const std::vector<float> plane = filtered(planes + c * pixels, height, width, kernel, kernel);
      std::copy(plane.begin(), plane.end(), &smooth[c * pixels]);
    }
  }
  PixelGraph graph{height, width, {}};
  graph.edges.reserve(4 * pixels);
  const int64_t steps[4] = {1, width, width + 1, 1 - width};
  std::vector<float> squares(4 * width);
  for (int64_t y = 0; y < height; ++y) {
    std::fill(squares.begin(), squares.end(), 0.0f);
    const bool exists[4] = {true, y + 1 < height, y + 1 < height, y > 0};
    for (int k = 0; k < 4; ++k) {
      if (!exists[k]) continue;
      const int64_t columns = k == 1 ? width : width - 1;
      float* sum = &squares[k * width];
      for (int64_t c = 0; c < channels; ++c) {
        const float* from = &smooth[c * pixels + y * width];
        const float* to = from + steps[k];
        for (int64_t x = 0; x < columns; ++x) sum[x] += (to[x] - from[x]) * (to[x] - from[x]);
      }
      for (int64_t x = 0; x < columns; ++x) sum[x] = std::sqrt(sum[x]);
    }
    for (int64_t x = 0; x < width; ++x) {
      for (int k = 0; k < 4; ++k) {
        if (!exists[k] || (k != 1 && x + 1 == width)) continue;
        const uint32_t id = static_cast<uint32_t>(4 * (y * width + x) + k);
        graph.edges.push_back({squares[k * width + x], id});
      }
    }
  }
  sort_by_weight(graph.edges);
  return graph;
}

Segments segment(const PixelGraph& graph, double scale, int64_t min_size) {
  const int64_t pixels = graph.height * graph.width;
  const int32_t width = static_cast<int32_t>(graph.width);
  const int32_t steps[4] = {1, width, width + 1, 1 - width};
  Forest forest(pixels, static_cast<float>(scale));
  std::vector<std::array<int32_t, 2>> between;  // pixels of regions that stayed apart, in order
  for (const auto& [weight, id] : graph.edges) {
    const int32_t from = static_cast<int32_t>(id >> 2);
    const int32_t a = forest.root(from), b = forest.root(from + steps[id & 3]);
    if (a == b) continue;
    if (weight <= std::min(forest.limit(a), forest.limit(b))) {
      forest.join(a, b, weight);
    } else {
      between.push_back({a, b});
    }
  }
  for (const auto& [p, q] : between) {
    const int32_t a = forest.root(p), b = forest.root(q);
    if (a != b && std::min(forest.size(a), forest.size(b)) < min_size) forest.join(a, b, 0);
  }
  Segments segments{0, std::vector<int32_t>(pixels)};
  std::vector<int32_t> label_of(pixels, -1);
  for (int64_t i = 0; i < pixels; ++i) {
    int32_t& label = label_of[forest.root(static_cast<int32_t>(i))];
    if (label < 0) label = static_cast<int32_t>(segments.count++);
    segments.labels[i] = label;
  }
  return segments;
}

}  // namespace fastcv
