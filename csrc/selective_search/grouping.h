// Hierarchical grouping: the two most similar neighbours become one region, until all are one.
//
// Similarities are sums of those that are asked for, each in [0, 1]:
//   colour   intersection of histograms, 25 bins a channel
//   texture  intersection of histograms, 10 bins for each channel and each of eight directions,
//            of the derivative of a Gaussian of sigma 1 in that direction where it is positive; the
//            last bin ends at the channel's longest gradient in the image
//   size     1 less the two regions' share of the image: small regions merge first
//   fill     1 less the share of the image that their common box has and they do not
//
// Source: Uijlings et al., "Selective Search for Object Recognition" (2013), sections 3.1 and 3.2.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "selective_search/graph_segmentation.h"

namespace fastcv {

// Bits, in the order of MEASURES in fastcv/ops/selective_search.py.
namespace measure {
constexpr unsigned color = 1, texture = 2, size = 4, fill = 8;
}

struct Region {
  int32_t size;
  int32_t x1, y1, x2, y2;  // half-open
};

// Of N segments: regions 0 to N - 1 are the segments, region N + i is the union of children[i].
struct RegionTree {
  std::vector<Region> regions;                   // 2 N - 1
  std::vector<std::array<int32_t, 2>> children;  // N - 1
};

// Where each pixel counts: `per_pixel` places in a region's histograms.
struct PixelBins {
  int64_t channels, per_pixel;
  std::vector<uint16_t> places;  // [pixels, per_pixel]
};

// planes: [channels, height, width] in [0, 1], channels 1 or 3.
PixelBins pixel_bins(const float* planes, int64_t channels, int64_t height, int64_t width);

// What is known of the segments before any are merged; serves every choice of measures.
struct SegmentGraph {
  int64_t channels, pixels;
  std::vector<Region> regions;
  std::vector<int32_t> histograms;               // [segments, histogram_length(channels)]
  std::vector<std::array<int32_t, 2>> touching;  // pairs that share an edge of a pixel, sorted
};

SegmentGraph segment_graph(const Segments& segments, const PixelBins& bins, int64_t height,
                           int64_t width);

// measures: an or of those in `measure`.
RegionTree group_regions(const SegmentGraph& graph, unsigned measures);

}  // namespace fastcv
