// The CUDA kernel of cosine_topk on the CPU, for ctypes.
#include <cstdint>

#include "cosine_topk/cosine_topk_kernel.cuh"

using namespace fastcv;

// sizes: [rows, columns, first, k].
#define MERGE_BEST(name, T)                                                                \
  extern "C" void merge_best_##name(const int64_t* sizes, const T* scores, T* best_scores, \
                                    int64_t* best_indices) {                               \
    cuda::launch_merge_best(scores, sizes[0], sizes[1], sizes[2], sizes[3], best_scores,   \
                            best_indices, cudaStream_t{});                                 \
  }
MERGE_BEST(float32, float)
MERGE_BEST(float64, double)
