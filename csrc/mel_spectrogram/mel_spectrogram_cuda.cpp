#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "common/cuda/cuda_launcher.h"
#include "mel_spectrogram/mel_spectrogram.h"
#include "mel_spectrogram/mel_spectrogram_kernel.h"

namespace fastcv {
namespace {

at::Tensor mel_spectrogram_cuda(const at::Tensor& waves, const at::Tensor& window,
                                const at::Tensor& filters, int64_t hop, int64_t pad, bool reflect,
                                bool magnitude, double floor) {
  check_mel_spectrogram(waves, window, filters, hop, pad, reflect, floor);
  const c10::cuda::CUDAGuard device_guard(waves.device());
  const MelPlan plan = mel_plan(waves, window, filters, hop, pad, reflect, magnitude, floor);
  const at::Tensor mel = at::empty({waves.size(0), filters.size(0), plan.frames}, waves.options());
  if (mel.numel() == 0) return mel;
  const at::Tensor turns = at::empty({plan.window, 2}, waves.options());
  const at::Tensor ranges = at::empty({plan.filters, 2}, waves.options().dtype(at::kInt));
  const at::Tensor sounds = waves.contiguous(), shape = window.contiguous();
  const at::Tensor weights = filters.contiguous();
  const auto fill = [&]<typename T>() {
    cuda::launch_mel_spectrogram(plan, sounds.size(0), sounds.const_data_ptr<T>(),
                                 shape.const_data_ptr<T>(), weights.const_data_ptr<T>(),
                                 turns.mutable_data_ptr<T>(), ranges.mutable_data_ptr<int32_t>(),
                                 mel.mutable_data_ptr<T>(), c10::cuda::getCurrentCUDAStream());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  };
  if (waves.scalar_type() == at::kDouble) {
    fill.operator()<double>();
  } else {
    fill.operator()<float>();
  }
  return mel;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CUDA, m) { m.impl("mel_spectrogram", mel_spectrogram_cuda); }

}  // namespace fastcv
