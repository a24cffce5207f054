// For functions that host and device both call.
#pragma once

#if defined(__CUDACC__)
#define FASTCV_HD __host__ __device__ __forceinline__
#else
#define FASTCV_HD inline __attribute__((always_inline))
#endif
