// The CUDA kernels of dense_crf on the CPU, for ctypes.
#include <cstdint>

#include "dense_crf/dense_crf_kernel.cuh"

using namespace fastcv;

extern "C" void lattice_neighbours(int d, const int64_t* key, int64_t vertices,
                                   int32_t* neighbour) {
  cuda::launch_lattice_neighbours(d, key, vertices, neighbour, cudaStream_t{});
}

#define LATTICE(name, Acc)                                                                         \
  extern "C" void lattice_points_##name(int d, const Acc* image, int64_t height, int64_t width,    \
                                        double sxy, double srgb, int64_t* key, Acc* weight) {      \
    cuda::launch_lattice_points(d, image, height, width, sxy, srgb, key, weight, cudaStream_t{});  \
  }                                                                                                \
  extern "C" void lattice_splat_##name(const int64_t* begin, const int32_t* order,                 \
                                       const int32_t* owner, const Acc* weight, int corners,       \
                                       int64_t count, int64_t vertices, const Acc* labels,         \
                                       int64_t channels, Acc* parts, Acc* values) {                \
    const cuda::LatticeEntries entries{corners, count, vertices, begin, order, owner};             \
    cuda::launch_lattice_splat(entries, weight, labels, channels, parts, values, cudaStream_t{});  \
  }                                                                                                \
  extern "C" void lattice_blur_##name(const int32_t* neighbour, const Acc* from, int64_t vertices, \
                                      int64_t channels, Acc* to) {                                 \
    cuda::launch_lattice_blur(neighbour, from, vertices, channels, to, cudaStream_t{});            \
  }                                                                                                \
  extern "C" void lattice_slice_##name(const int32_t* vertex, const Acc* weight, int corners,      \
                                       const Acc* values, int64_t pixels, int64_t channels,        \
                                       double factor, const Acc* base, Acc* out) {                 \
    cuda::launch_lattice_slice(vertex, weight, corners, values, pixels, channels, factor, base,    \
                               out, cudaStream_t{});                                               \
  }
LATTICE(float64, double)
LATTICE(float32, float)
