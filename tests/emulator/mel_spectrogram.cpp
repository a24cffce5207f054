// The CUDA kernels of mel_spectrogram on the CPU, for ctypes.
#include <cstdint>

#include "mel_spectrogram/mel_spectrogram_kernel.cuh"

using namespace fastcv;

// n: batch, samples, frames, hop, pad, window, filters, points, steps, reflect, magnitude, radices.
#define MEL(name, T)                                                                          \
  extern "C" void mel_##name(const int64_t* n, double floor, const T* waves, const T* window, \
                             const T* filters, T* turns, int32_t* ranges, T* mel) {           \
    MelPlan plan{};                                                                           \
    plan.samples = n[1], plan.frames = n[2], plan.hop = n[3], plan.pad = n[4];                \
    plan.window = static_cast<int32_t>(n[5]), plan.filters = static_cast<int32_t>(n[6]);      \
    plan.points = static_cast<int32_t>(n[7]), plan.steps = static_cast<int32_t>(n[8]);        \
    plan.reflect = n[9] != 0, plan.magnitude = n[10] != 0, plan.floor = floor;                \
    for (int i = 0; i < plan.steps; ++i) plan.radices[i] = static_cast<int32_t>(n[11 + i]);   \
    cuda::launch_mel_spectrogram(plan, n[0], waves, window, filters, turns, ranges, mel,      \
                                 cudaStream_t{});                                             \
  }
MEL(float32, float)
MEL(float64, double)
