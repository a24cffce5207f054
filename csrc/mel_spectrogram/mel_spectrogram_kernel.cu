#include "mel_spectrogram/mel_spectrogram_kernel.cuh"

namespace fastcv::cuda {

#define INSTANTIATE(T)                                                                            \
  template void launch_mel_spectrogram(const MelPlan&, int64_t, const T*, const T*, const T*, T*, \
                                       int32_t*, T*, cudaStream_t);
INSTANTIATE(double)
INSTANTIATE(float)
#undef INSTANTIATE

}  // namespace fastcv::cuda
