// mel_spectrogram(waves, window, filters, hop, pad, reflect, magnitude, floor) -> mel: how loud
// each band of frequencies is in each frame of a sound, without the spectrogram in between.
//
//   waves      [B, N] float64 | float32, any strides: samples
//   window     [W], waves' dtype and device: what a frame of W samples is multiplied by; 1 to 8192.
//              A shorter window has zeros on both sides.
//   filters    [M, W / 2 + 1], waves' dtype and device: weights of the frequencies k * rate / W, of
//              each band; zeros outside of the first and last other one cost nothing
//   hop        samples from one frame to the next, at least 1
//   pad        samples added on both sides, at least 0: W / 2 puts a frame's middle at t * hop
//   reflect    they mirror the sound, whose end samples are not repeated; else they are zeros
//   magnitude  a band sums |X|; else |X|^2
//   floor      > 0: the result is log(max(sum, floor)); 0: the sum itself
//   mel        [B, M, T], T = 1 + (N + 2 pad - W) / hop, contiguous:
//              sum over k of filters[m, k] |X[k]|^2, X[k] = sum over n of
//              window[n] wave[t hop - pad + n] exp(-2 pi i k n / W)
//
// A frame's numbers depend on its samples alone. A NaN or infinite one makes its frames NaN.
// Any W is taken; its largest prime factor should be small: 400 is 2^4 * 5^2.
//
// Errors: shapes, dtypes, devices other than above; no frame fits; with reflect, pad >= N.
// Deterministic on both devices, and on the CPU for any number of threads.
// Memory: the output. On the CPU less than 1 MiB a thread of windows up to 1024.
// Source: Davis and Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word
// Recognition" (1980); the transform is Stockham's: Cochran et al., "What Is the Fast Fourier
// Transform?" (1967).
#pragma once

#include <ATen/core/Tensor.h>

#include "mel_spectrogram/mel_plan.h"

namespace fastcv {

void check_mel_spectrogram(const at::Tensor& waves, const at::Tensor& window,
                           const at::Tensor& filters, int64_t hop, int64_t pad, bool reflect,
                           double floor);

MelPlan mel_plan(const at::Tensor& waves, const at::Tensor& window, const at::Tensor& filters,
                 int64_t hop, int64_t pad, bool reflect, bool magnitude, double floor);

}  // namespace fastcv
