// The CUDA kernel of panoptic_counts on the CPU, for ctypes.
#include <cstdint>

#include "panoptic_counts/panoptic_counts_kernel.cuh"

using namespace fastcv;

// sizes: [images, pixels, bits, probes].
#define PANOPTIC_COUNTS(name, I)                                                             \
  extern "C" void panoptic_counts_##name(const int64_t* sizes, const I* predicted,           \
                                         const I* target, unsigned long long* keys,          \
                                         unsigned long long* counts, int* status) {          \
    cuda::launch_panoptic_counts(predicted, target, sizes[0], sizes[1],                      \
                                 static_cast<int>(sizes[2]), sizes[3], keys, counts, status, \
                                 cudaStream_t{});                                            \
  }
PANOPTIC_COUNTS(int32, int32_t)
PANOPTIC_COUNTS(int64, int64_t)
