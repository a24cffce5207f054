// Selective search on tensors: what csrc/bindings.cpp binds as plain functions of fastcv._C. No ops
// of torch's dispatcher: they run on the CPU alone, have no gradient and return as many regions as
// they find. fastcv/ops/selective_search.py checks arguments for people; here is what memory needs.
//
// image is contiguous float32 on the CPU, below 2^29 pixels; what is said of its values there
// holds. Deterministic for any number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>
#include <vector>

namespace fastcv {

// image [C, H, W] -> labels [H, W] int64; see graph_segmentation.h.
at::Tensor felzenszwalb(const at::Tensor& image, double scale, double sigma, int64_t min_size);

// image [3, H, W], labels [H, W] int64 contiguous, 0 to N - 1 -> boxes [2 N - 1, 4] float32,
// sizes [2 N - 1] int64, children [N - 1, 2] int64; see grouping.h. color_space: of ColorSpace;
// measures: an or of `measure`'s bits.
std::tuple<at::Tensor, at::Tensor, at::Tensor> group_regions(const at::Tensor& image,
                                                             const at::Tensor& labels,
                                                             int64_t color_space, int64_t measures);

// image [3, H, W] -> boxes [M, 4] float32 of all regions of all strategies, with repetitions, and
// their places [M] int64 in their hierarchy, 1 for the whole image. A strategy is one of each of
// color_spaces, scales and measures; segments have at least `scale` pixels. Threads share the
// strategies.
std::tuple<at::Tensor, at::Tensor> selective_search(const at::Tensor& image,
                                                    const std::vector<int64_t>& color_spaces,
                                                    const std::vector<double>& scales,
                                                    const std::vector<int64_t>& measures,
                                                    double sigma);

}  // namespace fastcv
