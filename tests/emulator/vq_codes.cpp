// The CUDA kernels of vq_codes on the CPU, for ctypes.
#include <cstdint>

#include "vq_codes/vq_codes_kernel.cuh"

using namespace fastcv;

// sizes: [N, K, D, rows apart and numbers apart in vectors, the same in codebook].
#define VQ_CODES(name, T)                                                                      \
  extern "C" void vq_nearest_##name(const int64_t* sizes, const T* vectors, const T* codebook, \
                                    int64_t* codes) {                                          \
    cuda::launch_vq_nearest<T>({vectors, sizes[3], sizes[4]}, sizes[0],                        \
                               {codebook, sizes[5], sizes[6]}, sizes[1], sizes[2], codes,      \
                               cudaStream_t{});                                                \
  }                                                                                            \
  extern "C" void vq_sums_##name(const int64_t* sizes, const T* vectors, const int64_t* order, \
                                 const int64_t* starts, int64_t* counts, acc_t<T>* sums) {     \
    cuda::launch_vq_sums<T>({vectors, sizes[3], sizes[4]}, order, starts, sizes[1], sizes[2],  \
                            counts, sums, cudaStream_t{});                                     \
  }
VQ_CODES(float32, float)
VQ_CODES(float64, double)
VQ_CODES(float16, __half)
VQ_CODES(bfloat16, __nv_bfloat16)
