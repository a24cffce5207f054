"""Sound by frequency: of all of it at once, and of one short frame after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.audio.windows import WindowName, check_cover, make_window, samples_of

WINDOW_MS, HOP_MS = 25.0, 10.0  # of the lecture: a frame's length, and from one to the next
PadMode = Literal["reflect", "constant"]


def power_spectrum(waves: Tensor) -> Tensor:
    """How loud each frequency is in the whole of a sound: when it was there is lost.

    Args:
        waves: ``[..., N]``, floating point.

    Returns:
        ``[..., N // 2 + 1]``: ``|X[k]|^2 / N`` of the frequencies ``k * rate / N``.

    Raises:
        ValueError: no sample.

    Example:
        >>> import torch
        >>> from fastcv.audio import power_spectrum
        >>> up = torch.sin(torch.linspace(0, 30, 256, dtype=torch.float64).square())
        >>> torch.allclose(power_spectrum(up), power_spectrum(up.flip(0)))
        True
    """
    _check(waves)
    return torch.fft.rfft(waves).abs().square() / waves.shape[-1]


def stft(
    waves: Tensor,
    rate: int,
    *,
    window_ms: float = WINDOW_MS,
    hop_ms: float = HOP_MS,
    window: WindowName = "hamming",
    n_fft: int | None = None,
    pad_mode: PadMode = "reflect",
) -> Tensor:
    """The short-time Fourier transform: the spectrum of each frame. Frame t is around sample
    ``t * hop``.

    Args:
        waves: ``[..., N]``, floating point.
        rate: samples a second, in Hz.
        window_ms: of a frame, in milliseconds; frames overlap by ``window_ms - hop_ms``.
        hop_ms: from one frame to the next, in milliseconds.
        window: what a frame is multiplied by.
        n_fft: samples of the transform: zeros lie around a shorter window. None: the window's.
        pad_mode: what lies before the first sample and behind the last: ``"reflect"``, the sound in
            a mirror, or ``"constant"``, silence.

    Returns:
        ``[..., n_fft // 2 + 1, N // hop + 1]``, complex.

    Raises:
        ValueError: no sample, or fewer than are mirrored; frames that leave samples out; or a
            window, ``n_fft`` or time that is out of its range.

    Source: Allen and Rabiner, "A Unified Approach to Short-Time Fourier Analysis and Synthesis"
        (1977).

    Example:
        >>> import torch
        >>> from fastcv.audio import istft, stft
        >>> second = torch.randn(16000, generator=torch.Generator().manual_seed(0))
        >>> spectra = stft(second, 16000)
        >>> spectra.shape, torch.allclose(istft(spectra, 16000, length=16000), second, atol=1e-6)
        (torch.Size([201, 101]), True)
    """
    _check(waves)
    shape, hop, size = _frames(rate, window_ms, hop_ms, window, n_fft)
    if pad_mode == "reflect" and waves.shape[-1] <= size // 2:
        raise ValueError(
            f"waves must be longer than {size // 2} samples to be mirrored, got "
            f"{waves.shape[-1]}: pad_mode='constant' takes any"
        )
    found = torch.stft(
        waves.reshape(-1, waves.shape[-1]),
        size,
        hop,
        len(shape),
        shape.to(waves),
        pad_mode=pad_mode,
        return_complex=True,
    )
    return found.reshape(*waves.shape[:-1], *found.shape[1:])


def istft(
    spectra: Tensor,
    rate: int,
    *,
    window_ms: float = WINDOW_MS,
    hop_ms: float = HOP_MS,
    window: WindowName = "hamming",
    n_fft: int | None = None,
    length: int | None = None,
) -> Tensor:
    """The sound of the spectra that ``stft`` made, with the same arguments.

    Args:
        spectra: ``[..., F, T]``, complex.
        rate, window_ms, hop_ms, window, n_fft: as of ``stft``.
        length: samples of the sound; None: up to the last frame's middle.

    Returns:
        ``[..., length]``. Where spectra are no sound's, the one whose spectra are nearest.

    Raises:
        ValueError: spectra of another shape, or what ``stft`` refuses.
    """
    if spectra.ndim < 2 or not spectra.is_complex():
        raise ValueError(
            f"spectra must be complex [..., F, T], got {spectra.dtype} {list(spectra.shape)}"
        )
    shape, hop, size = _frames(rate, window_ms, hop_ms, window, n_fft)
    if spectra.shape[-2] != size // 2 + 1:
        raise ValueError(
            f"spectra must have {size // 2 + 1} frequencies, of {size} samples, got "
            f"{spectra.shape[-2]}"
        )
    found = torch.istft(
        spectra.reshape(-1, *spectra.shape[-2:]),
        size,
        hop,
        len(shape),
        shape.to(spectra.real),
        length=length,
    )
    return found.reshape(*spectra.shape[:-2], -1)


def spectrogram(waves: Tensor, rate: int, *, power: float = 2.0, **options: object) -> Tensor:
    """How loud each frequency is in each frame.

    Args:
        waves, rate: as of ``stft``.
        power: of the magnitude: 1, or 2 for energy.
        options: what else ``stft`` takes.

    Returns:
        ``[..., n_fft // 2 + 1, N // hop + 1]``.

    Example:
        >>> import torch
        >>> from fastcv.audio import spectrogram
        >>> tone = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / 8000)  # 1 kHz
        >>> int(spectrogram(tone, 8000)[:, 50].argmax()) * 8000 / 200  # a frame is 200 samples
        1000.0
    """
    return stft(waves, rate, **options).abs() ** power  # type: ignore[arg-type]  # checked there


def stft_blocks(
    blocks: Iterable[Tensor],
    rate: int,
    *,
    window_ms: float = WINDOW_MS,
    hop_ms: float = HOP_MS,
    window: WindowName = "hamming",
) -> Iterator[Tensor]:
    """``stft`` of a sound that comes in pieces: the same frames, as they become complete.

    What lies before the first sample and behind the last is silence, for a mirror would need to
    know the end.

    Args:
        blocks: ``[N]`` each, of any lengths.
        rate, window_ms, hop_ms, window: as of ``stft``.

    Yields:
        ``[F, T]`` complex; side by side they are ``stft(..., pad_mode="constant")`` of the whole.

    Example:
        >>> import torch
        >>> from fastcv.audio import stft, stft_blocks
        >>> second = torch.randn(8000)
        >>> parts = torch.cat(list(stft_blocks(second.split(1234), 8000)), dim=1)
        >>> torch.allclose(parts, stft(second, 8000, pad_mode="constant"), atol=1e-5)
        True
    """
    shape, hop, size = _frames(rate, window_ms, hop_ms, window, None)
    left: Tensor | None = None
    for block in blocks:
        if block.ndim != 1:
            raise ValueError(f"blocks must be [N] each, got {list(block.shape)}")
        left = F.pad(block, (size // 2, 0)) if left is None else torch.cat([left, block])
        frames = (len(left) - size) // hop + 1
        if frames > 0:
            yield _transform(left, size, hop, frames, shape)
            left = left[frames * hop :]
    if left is not None:
        frames = (len(left) + size // 2 - size) // hop + 1
        if frames > 0:
            yield _transform(F.pad(left, (0, size // 2)), size, hop, frames, shape)


def _transform(wave: Tensor, size: int, hop: int, frames: int, window: Tensor) -> Tensor:
    return torch.fft.rfft(wave.unfold(0, size, hop)[:frames] * window.to(wave)).T


def _frames(
    rate: int, window_ms: float, hop_ms: float, window: WindowName, n_fft: int | None
) -> tuple[Tensor, int, int]:
    """The window, the hop, and the size of the transform."""
    shape = make_window(window, samples_of(window_ms, rate, "window_ms"))
    hop = samples_of(hop_ms, rate, "hop_ms")
    check_cover(shape, hop)
    size = len(shape) if n_fft is None else n_fft
    if size < len(shape):
        raise ValueError(f"n_fft must be at least the window's {len(shape)} samples, got {size}")
    return shape, hop, size


def _check(waves: Tensor) -> None:
    if waves.ndim < 1 or waves.shape[-1] == 0:
        raise ValueError(f"waves must be [..., N] with a sample or more, got {list(waves.shape)}")
    if not waves.is_floating_point():
        raise ValueError(f"waves must be floating point, got {waves.dtype}")
