// The CUDA kernels of nms_rotated and batched_nms_rotated on the CPU, for ctypes.
#include <cstdint>

#include "nms_rotated/nms_rotated_kernel.cuh"

using namespace fastcv;

// Writes the kept indices and returns how many. `groups` may be null.
#define NMS_ROTATED(name, T)                                                                    \
  extern "C" int64_t nms_rotated_##name(const T* boxes, const int64_t* order,                   \
                                        const int64_t* groups, int64_t n, double iou_threshold, \
                                        int64_t* keep) {                                        \
    const emulator::DeviceBuffer workspace(cuda::nms_rotated_workspace_bytes<T>(n));            \
    int64_t count = -1;                                                                         \
    cuda::launch_nms_rotated(boxes, order, groups, n, iou_threshold, workspace.data(), keep,    \
                             &count, cudaStream_t{});                                           \
    return count;                                                                               \
  }
NMS_ROTATED(float64, double)
NMS_ROTATED(float32, float)
NMS_ROTATED(float16, __half)
NMS_ROTATED(bfloat16, __nv_bfloat16)
