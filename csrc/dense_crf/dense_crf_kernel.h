// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels. Acc is
// float or double; labels and values have `channels` numbers for each pixel and vertex.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"

namespace fastcv::cuda {

// key, weight: [pixels, d + 1], of an image [d - 2, height, width]; d = 2 to 6.
template <typename Acc>
void launch_lattice_points(int d, const Acc* image, int64_t height, int64_t width, double sxy,
                           double srgb, int64_t* key, Acc* weight, cudaStream_t stream);

// key: [vertices], ascending; neighbour: [d + 1, vertices, 2], `vertices` where there is none.
void launch_lattice_neighbours(int d, const int64_t* key, int64_t vertices, int32_t* neighbour,
                               cudaStream_t stream);

// Pixels' corners, each vertex's together: those of vertex v are begin[v] to begin[v + 1], at least
// one. Each is an index `order` into a [pixels, corners] array, and has `owner`, its vertex.
struct LatticeEntries {
  int corners;
  int64_t count, vertices;  // count = pixels * corners
  const int64_t* begin;
  const int32_t* order;
  const int32_t* owner;
};
constexpr int splat_chunk = 64;  // entries that are summed at once

// values: [vertices, channels]; parts: scratch, a row of `channels` for each splat_chunk entries.
template <typename Acc>
void launch_lattice_splat(const LatticeEntries& entries, const Acc* weight, const Acc* labels,
                          int64_t channels, Acc* parts, Acc* values, cudaStream_t stream);

// One axis.
template <typename Acc>
void launch_lattice_blur(const int32_t* neighbour, const Acc* from, int64_t vertices,
                         int64_t channels, Acc* to, cudaStream_t stream);

// out = base + factor * the sum of weight * values over each pixel's corners; base may be out.
template <typename Acc>
void launch_lattice_slice(const int32_t* vertex, const Acc* weight, int corners, const Acc* values,
                          int64_t pixels, int64_t channels, double factor, const Acc* base,
                          Acc* out, cudaStream_t stream);

}  // namespace fastcv::cuda
