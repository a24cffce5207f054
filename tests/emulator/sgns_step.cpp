// The CUDA kernels of sgns_step on the CPU, for ctypes.
#include <cstdint>

#include "sgns_step/sgns_step_kernel.cuh"

using namespace fastcv;

// sizes: [count, vocabulary, window, negative, mixed seed, position, shards, round, d, and the
// strides of input and output].
static SgnsText text_of(const int64_t* sizes, const int64_t* words, const float* keep,
                        const int32_t* noise) {
  return {words,
          sizes[0],
          keep,
          noise,
          sizes[1],
          sizes[2],
          sizes[3],
          static_cast<uint64_t>(sizes[4]),
          static_cast<uint64_t>(sizes[5])};
}

extern "C" void sgns_flags(const int64_t* sizes, const int64_t* words, const float* keep,
                           const int32_t* noise, int64_t* flags) {
  cuda::launch_sgns_flags(text_of(sizes, words, keep, noise), flags, cudaStream_t{});
}

extern "C" void sgns_choose(const int64_t* sizes, const int64_t* words, const float* keep,
                            const int32_t* noise, const int64_t* flags, const int64_t* sums,
                            int64_t* chosen) {
  cuda::launch_sgns_choose(text_of(sizes, words, keep, noise), flags, sums, chosen, cudaStream_t{});
}

extern "C" void sgns_pairs(const int64_t* sizes, const int64_t* words, const float* keep,
                           const int32_t* noise, const int64_t* sums, const int64_t* chosen,
                           int32_t* keys, int64_t* pairs) {
  cuda::launch_sgns_pairs(text_of(sizes, words, keep, noise), sums, chosen, sizes[6], keys, pairs,
                          cudaStream_t{});
}

#define SGNS_ROUND(name, T)                                                                   \
  extern "C" void sgns_round_##name(const int64_t* sizes, const int64_t* order,               \
                                    const int64_t* starts, const int64_t* pairs, T* input,    \
                                    T* output, const T* lr, T* errors, double* losses) {      \
    cuda::launch_sgns_round(sizes[7], sizes[6], 2 * sizes[2] * (1 + sizes[3]), order, starts, \
                            pairs, input, sizes[9], output, sizes[10], sizes[8], *lr, errors, \
                            losses, cudaStream_t{});                                          \
  }
SGNS_ROUND(float32, float)
SGNS_ROUND(float64, double)
