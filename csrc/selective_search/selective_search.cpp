#include "selective_search/selective_search.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "selective_search/color_space.h"
#include "selective_search/graph_segmentation.h"
#include "selective_search/grouping.h"

namespace fastcv {
namespace {

void check_image(const at::Tensor& image, const char* name) {
  TORCH_CHECK(image.dim() == 3 && image.numel() > 0 && image.is_cpu() && image.is_contiguous() &&
                  image.scalar_type() == at::kFloat && image[0].numel() < 1 << 29,
              name, ": image must be a contiguous float32 [C, H, W] on the CPU of less than 2^29 ",
              "pixels, got ", image.toString(), " ", image.sizes());
}

void check_rgb(const at::Tensor& image, const char* name) {
  check_image(image, name);
  TORCH_CHECK(image.size(0) == 3, name, ": image must have 3 channels, got ", image.size(0));
}

at::Tensor boxes_of(const std::vector<Region>& regions) {
  const at::Tensor boxes = at::empty({static_cast<int64_t>(regions.size()), 4}, at::kFloat);
  float* out = boxes.mutable_data_ptr<float>();
  for (const Region& r : regions) {
    for (const int32_t side : {r.x1, r.y1, r.x2, r.y2}) *out++ = static_cast<float>(side);
  }
  return boxes;
}

// What a colour space needs once, whatever the scales and measures.
struct Prepared {
  PixelGraph graph;
  PixelBins bins;
};

}  // namespace

at::Tensor felzenszwalb(const at::Tensor& image, double scale, double sigma, int64_t min_size) {
  check_image(image, "felzenszwalb");
  const int64_t height = image.size(1), width = image.size(2);
  const PixelGraph graph =
      pixel_graph(image.const_data_ptr<float>(), image.size(0), height, width, sigma);
  const Segments segments = segment(graph, scale / 255, min_size);
  const at::Tensor labels = at::empty({height, width}, at::kLong);
  std::copy(segments.labels.begin(), segments.labels.end(), labels.mutable_data_ptr<int64_t>());
  return labels;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> group_regions(const at::Tensor& image,
                                                             const at::Tensor& labels,
                                                             int64_t color_space,
                                                             int64_t measures) {
  check_rgb(image, "group_regions");
  const int64_t height = image.size(1), width = image.size(2), pixels = height * width;
  TORCH_CHECK(labels.is_cpu() && labels.is_contiguous() && labels.scalar_type() == at::kLong &&
                  labels.sizes() == image.sizes().slice(1),
              "group_regions: labels must be contiguous int64 [H, W] on the CPU, got ",
              labels.toString(), " ", labels.sizes());
  Segments segments{0, {}};
  std::vector<char> there(pixels, false);
  const int64_t* label = labels.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < pixels; ++i) {
    TORCH_CHECK(label[i] >= 0 && label[i] < pixels,
                "group_regions: labels must be 0 to N - 1, got ", label[i]);
    segments.labels.push_back(static_cast<int32_t>(label[i]));
    segments.count = std::max(segments.count, label[i] + 1);
    there[label[i]] = true;
  }
  for (int64_t i = 0; i < segments.count; ++i) {
    TORCH_CHECK(there[i], "group_regions: labels must be 0 to N - 1, each at least once, but ", i,
                " is nowhere");
  }
  const ColorImage colors =
      in_color_space(image.const_data_ptr<float>(), pixels, static_cast<ColorSpace>(color_space));
  const PixelBins bins = pixel_bins(colors.planes.data(), colors.channels, height, width);
  const RegionTree tree =
      group_regions(segment_graph(segments, bins, height, width), static_cast<unsigned>(measures));
  const at::Tensor sizes = at::empty({static_cast<int64_t>(tree.regions.size())}, at::kLong);
  const at::Tensor children = at::empty({static_cast<int64_t>(tree.children.size()), 2}, at::kLong);
  int64_t* size = sizes.mutable_data_ptr<int64_t>();
  for (const Region& r : tree.regions) *size++ = r.size;
  int64_t* child = children.mutable_data_ptr<int64_t>();
  for (const auto& [a, b] : tree.children) *child++ = a, *child++ = b;
  return {boxes_of(tree.regions), sizes, children};
}

std::tuple<at::Tensor, at::Tensor> selective_search(const at::Tensor& image,
                                                    const std::vector<int64_t>& color_spaces,
                                                    const std::vector<double>& scales,
                                                    const std::vector<int64_t>& measures,
                                                    double sigma) {
  check_rgb(image, "selective_search");
  const int64_t height = image.size(1), width = image.size(2);
  const float* rgb = image.const_data_ptr<float>();
  const int64_t spaces = color_spaces.size(), sizes = scales.size();
  std::vector<Prepared> prepared(spaces);
  at::parallel_for(0, spaces, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const ColorImage colors =
          in_color_space(rgb, height * width, static_cast<ColorSpace>(color_spaces[i]));
      const float* planes = colors.planes.data();
      prepared[i] = {pixel_graph(planes, colors.channels, height, width, sigma),
                     pixel_bins(planes, colors.channels, height, width)};
    }
  });
  std::vector<std::vector<RegionTree>> trees(spaces * sizes);
  at::parallel_for(0, spaces * sizes, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const auto& [graph, bins] = prepared[i / sizes];
      const double scale = scales[i % sizes];
      const Segments segments = segment(graph, scale / 255, static_cast<int64_t>(scale));
      const SegmentGraph start = segment_graph(segments, bins, height, width);
      for (const int64_t measure : measures) {
        trees[i].push_back(group_regions(start, static_cast<unsigned>(measure)));
      }
    }
  });
  std::vector<Region> regions;
  std::vector<int64_t> place;
  for (const auto& of_segments : trees) {
    for (const RegionTree& tree : of_segments) {
      for (size_t i = 0; i < tree.regions.size(); ++i) {
        regions.push_back(tree.regions[i]);
        place.push_back(static_cast<int64_t>(tree.regions.size() - i));
      }
    }
  }
  const at::Tensor places = at::empty({static_cast<int64_t>(place.size())}, at::kLong);
  std::copy(place.begin(), place.end(), places.mutable_data_ptr<int64_t>());
  return {boxes_of(regions), places};
}

}  // namespace fastcv
