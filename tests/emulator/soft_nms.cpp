// The CUDA kernels of soft_nms and batched_soft_nms on the CPU, for ctypes.
#include <cstdint>

#include "soft_nms/soft_nms_kernel.cuh"

using namespace fastcv;

// selected[i] becomes the score box i was selected with, or -infinity; returns how many were.
// `members` and `groups` may be null.
#define SOFT_NMS(name, T)                                                                        \
  extern "C" int64_t soft_nms_##name(const T* boxes, const T* scores, const int64_t* members,    \
                                     const int64_t* groups, int64_t n, int gaussian,             \
                                     double iou_threshold, double sigma, double score_threshold, \
                                     acc_t<T>* selected) {                                       \
    const emulator::DeviceBuffer workspace(cuda::soft_nms_workspace_bytes<T>(n));                \
    int64_t counts[2] = {0, 0};                                                                  \
    const Decay<acc_t<T>> decay(gaussian != 0, iou_threshold, sigma, score_threshold);           \
    cuda::launch_soft_nms(boxes, scores, members, groups, n, decay, workspace.data(), selected,  \
                          counts, cudaStream_t{});                                               \
    return counts[0];                                                                            \
  }
SOFT_NMS(float64, double)
SOFT_NMS(float32, float)
SOFT_NMS(float16, __half)
SOFT_NMS(bfloat16, __nv_bfloat16)
