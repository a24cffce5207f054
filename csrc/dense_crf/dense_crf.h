// dense_crf(unary, image, compatibility?, iterations, gaussian_sxy, gaussian_weight, bilateral_sxy,
// bilateral_srgb, bilateral_weight) -> q: mean-field inference in a fully connected CRF.
//
//   unary          [B, C, H, W] float64 | float32 | float16 | bfloat16: energies, -log p
//   image          [B, K, H, W], K = 1 to 4, float64 for float64 unary, else float32: in levels,
//                  0 to 255 in an 8-bit image
//   compatibility  [C, C], image's dtype: mu(l, m), what it costs that a pixel is l beside one that
//                  is m; none: 1 where they differ
//   q              [B, C, H, W], unary's dtype: q[b, l, y, x] is the probability of label l
//
//   q_0 = softmax(-unary)
//   q_t = softmax(-unary - mu sum over kernels of weight * k q_{t-1}),  t = 1 .. iterations
//
// The kernels k[i, j] = exp(-|f_i - f_j|^2 / 2) have the features (x, y) / gaussian_sxy and
// (x, y) / bilateral_sxy with image / bilateral_srgb, pixels count as their own neighbours, and
// each kernel is normalised: k[i, j] / sqrt(sum_m k[i, m] sum_m k[j, m]). Its sums run over a
// permutohedral lattice, as accurate as that is; a kernel of weight 0 costs nothing.
//
// Sums in float32 (float64 for float64). Deterministic on both devices, and on the CPU for any
// number of threads. The gradient by unary is that of the iterations as computed, lattice and all
// (_dense_crf_backward); it keeps nothing but the inputs, and needs `iterations` outputs of memory.
// Memory besides the output: two of it, and 16 to 20 bytes for each pixel and corner of a lattice
// (3 and 3 + K). On CUDA one wait for the device for each kernel: how large a lattice is depends on
// the image.
//
// Errors: other shapes, dtypes or devices; iterations < 0; a scale that is not above 0; scales so
// small that the lattice cannot number its vertices; 2^31 pixels x corners or more.
// Source: Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
// Potentials" (2011), algorithm 1; Adams et al., "Fast High-Dimensional Filtering Using the
// Permutohedral Lattice" (2010); normalisation: the authors' code for "Parameter Learning and
// Convergent Inference for Dense Random Fields" (2013).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

namespace fastcv {

// The arguments that are numbers, in the schema's order.
struct DenseCrfOptions {
  int64_t iterations;
  double gaussian_sxy, gaussian_weight, bilateral_sxy, bilateral_srgb, bilateral_weight;
};

// The features of a kernel: pixels in units of sxy, and `channels` of the image in units of srgb.
struct CrfKernel {
  double sxy, srgb, weight;
  int64_t channels;
  int64_t corners() const { return channels + 3; }
};

// Those whose weight is not 0.
std::vector<CrfKernel> crf_kernels(const DenseCrfOptions& options, int64_t image_channels);

void check_dense_crf(const at::Tensor& unary, const at::Tensor& image,
                     const std::optional<at::Tensor>& compatibility,
                     const DenseCrfOptions& options);

void check_dense_crf_backward(const at::Tensor& grad, const at::Tensor& unary,
                              const at::Tensor& image,
                              const std::optional<at::Tensor>& compatibility,
                              const DenseCrfOptions& options);

}  // namespace fastcv
