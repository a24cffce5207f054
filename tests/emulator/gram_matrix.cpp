// The CUDA kernels of gram_matrix on the CPU, for ctypes.
#include <cstdint>

#include "gram_matrix/gram_matrix_kernel.cuh"

using namespace fastcv;

extern "C" int64_t gram_matrix_parts(int64_t batch, int64_t channels, int64_t pixels) {
  return cuda::gram_parts(batch, channels, pixels);
}

// shape and strides: [batch, channels, pixels].
#define GRAM_MATRIX(name, T)                                                                \
  extern "C" void gram_matrix_##name(const T* features, const int64_t* shape,               \
                                     const int64_t* strides, double scale, acc_t<T>* parts, \
                                     T* gram) {                                             \
    const cuda::GramArguments<T> a{features,   shape[0],   shape[1],  shape[2],             \
                                   strides[0], strides[1], strides[2]};                     \
    cuda::launch_gram_matrix(a, scale, parts, gram, cudaStream_t{});                        \
  }
GRAM_MATRIX(float64, double)
GRAM_MATRIX(float32, float)
GRAM_MATRIX(float16, __half)
GRAM_MATRIX(bfloat16, __nv_bfloat16)
