// The CUDA kernels of nms and batched_nms on the CPU, for ctypes.
#include <cstdint>

#include "nms/nms_kernel.cuh"

using namespace fastcv;

// Writes the kept indices and returns how many. `groups` may be null.
#define NMS(name, T)                                                                         \
  extern "C" int64_t nms_##name(const T* boxes, const int64_t* order, const int64_t* groups, \
                                int64_t n, double iou_threshold, int64_t* keep) {            \
    const emulator::DeviceBuffer workspace(cuda::nms_workspace_bytes<T>(n));                 \
    int64_t count = -1;                                                                      \
    cuda::launch_nms(boxes, order, groups, n, iou_threshold, workspace.data(), keep, &count, \
                     cudaStream_t{});                                                        \
    return count;                                                                            \
  }
NMS(float64, double)
NMS(float32, float)
NMS(float16, __half)
NMS(bfloat16, __nv_bfloat16)
