"""Slaney's mel filters, and phases for magnitudes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BEND = 1000.0  # Hz: below it the scale is a line, above a logarithm
STEP = 200 / 3  # Hz of a mel below
LOG_STEP = math.log(6.4) / 27  # above
MOMENTUM = 0.99  # of Perraudin et al.


def mel_filters(rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float) -> Tensor:
    """Triangles of equal area on Slaney's scale.

    Args:
        rate: in Hz.
        n_fft: of the spectrum.
        n_mels: how many.
        f_min, f_max: Hz, where the first begins and the last ends.

    Returns:
        ``[n_mels, n_fft // 2 + 1]`` float32.

    Source: Slaney, "Auditory Toolbox" (1998).

    Example:
        >>> from fastcv.models.audio._mel_inverse import mel_filters
        >>> mel_filters(22050, 1024, 80, 0, 8000).shape
        torch.Size([80, 513])
    """
    mels = torch.linspace(_mel(f_min), _mel(f_max), n_mels + 2, dtype=torch.float64)
    above = BEND * torch.exp(LOG_STEP * (mels - BEND / STEP))
    corners = torch.where(mels < BEND / STEP, mels * STEP, above)
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * rate / n_fft
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
    return (torch.minimum(rising, falling).clamp(min=0) * 2 / (right - left)).float()


def _mel(frequency: float) -> float:
    if frequency < BEND:
        return frequency / STEP
    return BEND / STEP + math.log(frequency / BEND) / LOG_STEP


def griffin_lim(
    magnitudes: Tensor, *, n_fft: int, hop: int, iterations: int = 60, seed: int = 0
) -> Tensor:
    """A wave whose spectrum has about these magnitudes.

    Args:
        magnitudes: ``[F, T]``, of a Hann window of ``n_fft`` samples, frames around each ``hop``.
        n_fft, hop: samples.
        iterations: more come nearer.
        seed: of the phases that it begins with.

    Returns:
        ``[(T - 1) * hop]``.

    Source: Griffin and Lim (1984); Perraudin et al., "A Fast Griffin-Lim Algorithm" (2013).

    Example:
        >>> import torch
        >>> from fastcv.models.audio._mel_inverse import griffin_lim
        >>> griffin_lim(torch.rand(513, 9), n_fft=1024, hop=256, iterations=2).shape
        torch.Size([2048])
    """
    window = torch.hann_window(n_fft, dtype=magnitudes.dtype, device=magnitudes.device)
    length = (magnitudes.shape[1] - 1) * hop
    random = torch.rand(magnitudes.shape, generator=torch.Generator().manual_seed(seed))
    spectrum = torch.polar(magnitudes, 2 * torch.pi * random.to(magnitudes))
    before = torch.zeros_like(spectrum)
    wave = magnitudes.new_zeros(length)
    for _ in range(max(iterations, 1)):
        wave = torch.istft(spectrum, n_fft, hop, window=window, length=length)
        made = torch.stft(wave, n_fft, hop, window=window, pad_mode="constant", return_complex=True)
        moved = made + MOMENTUM * (made - before)
        spectrum, before = magnitudes * moved / moved.abs().clamp(min=1e-12), made
    return torch.istft(spectrum, n_fft, hop, window=window, length=length)
