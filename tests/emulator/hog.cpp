// The CUDA kernels of hog on the CPU, for ctypes.
#include <algorithm>
#include <cstdint>

#include "hog/hog_kernel.cuh"

using namespace fastcv;

// numbers: batch, channels, height, width, cells_y, cells_x, blocks_y, blocks_x, orientations,
// cell, block.
#define HOG(name, T)                                                                     \
  extern "C" void hog_##name(const int64_t* n, const T* images, const acc_t<T>* borders, \
                             acc_t<T>* cells, T* descriptors) {                          \
    const cuda::HogArguments a{n[0],                                                     \
                               n[1],                                                     \
                               n[2],                                                     \
                               n[3],                                                     \
                               n[4],                                                     \
                               n[5],                                                     \
                               n[6],                                                     \
                               n[7],                                                     \
                               static_cast<int>(n[8]),                                   \
                               static_cast<int>(n[9]),                                   \
                               static_cast<int>(n[10])};                                 \
    cuda::HogBorders<acc_t<T>> by_value{};                                               \
    std::copy_n(borders, 2 * (a.orientations - 1), by_value.values);                     \
    cuda::launch_hog(a, images, by_value, cells, descriptors, cudaStream_t{});           \
  }
HOG(float64, double)
HOG(float32, float)
HOG(float16, __half)
HOG(bfloat16, __nv_bfloat16)
