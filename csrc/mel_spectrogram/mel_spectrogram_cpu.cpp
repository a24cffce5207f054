// CPU launcher. A task has some frames of a sound; each lane of a vector has a frame.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "common/cpu/buffer.h"
#include "common/host/ceil_div.h"
#include "mel_spectrogram/mel_spectrogram.h"

#define FASTCV_CPU_KERNEL "mel_spectrogram/mel_spectrogram_cpu_kernel.h"
#include "common/cpu/foreach_isa.h"

namespace fastcv {
namespace {

constexpr int64_t frames_at_once = 64;  // a multiple of all vectors' lanes

template <typename T>
void mel_frames_of(const MelPlan& plan, const at::Tensor& waves, const at::Tensor& window,
                   const at::Tensor& filters, const at::Tensor& mel) {
  // exp(-2 pi i j / W) for all j, and where each filter begins and ends.
  const auto turns = make_buffer<T>(2 * plan.window);
  for (int32_t j = 0; j < plan.window; ++j) {
    const double angle = -2 * std::numbers::pi * j / plan.window;
    turns[2 * j] = static_cast<T>(std::cos(angle)),
              turns[2 * j + 1] = static_cast<T>(std::sin(angle));
  }
  const auto ranges = make_buffer<int32_t>(2 * plan.filters);
  const T* weights = filters.const_data_ptr<T>();
  for (int32_t m = 0; m < plan.filters; ++m) {
    const T* own = weights + int64_t{m} * plan.bins();
    int32_t first = 0, last = plan.bins();
    while (first < last && own[first] == 0) ++first;
    while (last > first && own[last - 1] == 0) --last;
    ranges[2 * m] = first, ranges[2 * m + 1] = last;
  }
  const T *from = waves.const_data_ptr<T>(), *shape = window.const_data_ptr<T>();
  T* to = mel.mutable_data_ptr<T>();
  const int64_t blocks = ceil_div(plan.frames, frames_at_once);
  at::parallel_for(0, waves.size(0) * blocks, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = make_buffer<T>(FASTCV_ISA_CALL(mel_scratch<T>)(plan));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t wave = i / blocks, first = i % blocks * frames_at_once;
      FASTCV_ISA_CALL(mel_frames<T>)
      (plan, from + wave * plan.samples, shape, weights, ranges.get(), turns.get(), first,
       std::min(first + frames_at_once, plan.frames), scratch.get(),
       to + wave * plan.filters * plan.frames);
    }
  });
}

at::Tensor mel_spectrogram_cpu(const at::Tensor& waves, const at::Tensor& window,
                               const at::Tensor& filters, int64_t hop, int64_t pad, bool reflect,
                               bool magnitude, double floor) {
  check_mel_spectrogram(waves, window, filters, hop, pad, reflect, floor);
  const MelPlan plan = mel_plan(waves, window, filters, hop, pad, reflect, magnitude, floor);
  const at::Tensor mel = at::empty({waves.size(0), filters.size(0), plan.frames}, waves.options());
  const auto fill = [&]<typename T>() {
    mel_frames_of<T>(plan, waves.contiguous(), window.contiguous(), filters.contiguous(), mel);
  };
  if (waves.scalar_type() == at::kDouble) {
    fill.operator()<double>();
  } else {
    fill.operator()<float>();
  }
  return mel;
}

}  // namespace

TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("mel_spectrogram", mel_spectrogram_cpu); }

}  // namespace fastcv
