// Over-segmentation of an image as a graph of pixels.
//
// Each pixel has edges to its eight neighbours, as heavy as their colours differ. From the lightest
// edge on, the two regions beside an edge become one if it is no heavier than the heaviest edge
// that holds either together, plus scale / (pixels of that region).
//
// Source: Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation" (2004).
#pragma once

#include <cstdint>
#include <vector>

namespace fastcv {

struct PixelEdge {
  float weight;
  uint32_t id;  // 4 * the pixel + which of its neighbours: right, below, below right, above right
};

// The same edges, in the same order, serve every scale.
struct PixelGraph {
  int64_t height, width;
  std::vector<PixelEdge> edges;  // by rising weight; equal ones by rising id
};

// planes: [channels, height, width]; smoothed first unless sigma is 0.
PixelGraph pixel_graph(const float* planes, int64_t channels, int64_t height, int64_t width,
                       double sigma);

struct Segments {
  int64_t count;
  std::vector<int32_t> labels;  // [height, width], numbered as they appear, row by row
};

// Regions smaller than min_size then join a neighbour, over the lightest edges first.
Segments segment(const PixelGraph& graph, double scale, int64_t min_size);

}  // namespace fastcv
