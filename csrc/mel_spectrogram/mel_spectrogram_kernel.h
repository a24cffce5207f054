// What the CUDA launcher (compiled by the host compiler, with torch) sees of the kernels.
#pragma once

#include <cstdint>

#include "common/cuda/cuda_types.h"
#include "mel_spectrogram/mel_plan.h"

namespace fastcv::cuda {

// waves [batch, samples], window [window], filters [filters, bins], mel [batch, filters, frames].
// Scratch: turns [window, 2], ranges [filters, 2].
template <typename T>
void launch_mel_spectrogram(const MelPlan& plan, int64_t batch, const T* waves, const T* window,
                            const T* filters, T* turns, int32_t* ranges, T* mel,
                            cudaStream_t stream);

}  // namespace fastcv::cuda
