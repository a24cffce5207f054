"""Frequencies in bands as wide as an ear's, in three styles; and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from fastcv.audio.windows import WindowName, make_window
from fastcv.ops import mel_spectrogram as bands_of

Style = Literal["librosa", "torchaudio", "htk"]

BEND = 1000.0  # Hz: below it Slaney's scale is a line, above a logarithm
STEP = 200 / 3  # Hz of a mel below
LOG_STEP = math.log(6.4) / 27  # above


@dataclass(frozen=True)
class Manner:
    """What a library does its own way.

    Args:
        scale: ``"slaney"`` or ``"htk"``.
        is_normed: each filter's area is the same, so that its height falls.
        pad_mode: what lies around the sound.
        window: of frames.
        power: of magnitudes that a band sums.
    """

    scale: Literal["slaney", "htk"]
    is_normed: bool
    pad_mode: Literal["reflect", "constant"]
    window: WindowName
    power: Literal[1, 2]


MANNERS: dict[Style, Manner] = {
    "librosa": Manner("slaney", True, "constant", "hann", 2),
    "torchaudio": Manner("htk", False, "reflect", "hann", 2),
    "htk": Manner("htk", False, "constant", "hamming", 1),
}


def manner_of(style: Style) -> Manner:
    """Raises a ValueError of an unknown style."""
    if style not in MANNERS:
        raise ValueError(f"style must be one of {', '.join(MANNERS)}, got {style!r}")
    return MANNERS[style]


def hz_to_mel(frequencies: Tensor, style: Style = "librosa") -> Tensor:
    """Frequencies in Hz on the mel scale; librosa's is Slaney's, the others have O'Shaughnessy's.

    Example:
        >>> import torch
        >>> from fastcv.audio import hz_to_mel
        >>> hz_to_mel(torch.tensor([500.0, 1000.0])), hz_to_mel(torch.tensor([1000.0]), "htk")
        (tensor([ 7.5000, 15.0000]), tensor([999.9855]))
    """
    hz = frequencies.double()
    if manner_of(style).scale == "htk":
        mels = 2595 * torch.log10(1 + hz / 700)
    else:
        above = BEND / STEP + torch.log(hz.clamp(min=BEND) / BEND) / LOG_STEP
        mels = torch.where(hz < BEND, hz / STEP, above)
    return mels.to(frequencies.dtype)


def mel_to_hz(mels: Tensor, style: Style = "librosa") -> Tensor:
    """What ``hz_to_mel`` undoes."""
    double = mels.double()
    if manner_of(style).scale == "htk":
        hz = 700 * (10 ** (double / 2595) - 1)
    else:
        above = BEND * torch.exp(LOG_STEP * (double - BEND / STEP))
        hz = torch.where(double < BEND / STEP, double * STEP, above)
    return hz.to(mels.dtype)


def mel_filters(
    rate: int,
    n_fft: int,
    mels: int = 128,
    *,
    fmin: float = 0.0,
    fmax: float | None = None,
    style: Style = "librosa",
) -> Tensor:
    """How much of each frequency is in each band: triangles at even steps of the mel scale.

    Args:
        rate: samples a second, in Hz.
        n_fft: samples of a transform.
        mels: how many bands.
        fmin: Hz, where the first begins.
        fmax: Hz, where the last ends; None: half the rate.
        style: whose scale, and whether areas are the same.

    Returns:
        ``[mels, n_fft // 2 + 1]`` float32.

    Raises:
        ValueError: frequencies that are not ``0 <= fmin < fmax <= rate / 2``, no band, or a band
            so narrow that it has no frequency of the transform.

    Source: Slaney, "Auditory Toolbox" (1998); O'Shaughnessy, "Speech Communication" (1987).

    Example:
        >>> from fastcv.audio import mel_filters
        >>> mel_filters(16000, 400, 40).shape
        torch.Size([40, 201])
    """
    fmax = rate / 2 if fmax is None else fmax
    if not 0 <= fmin < fmax <= rate / 2:
        raise ValueError(
            f"fmin and fmax must be 0 <= fmin < fmax <= {rate / 2:g} Hz, half the rate, got "
            f"{fmin:g} and {fmax:g}"
        )
    if mels < 1 or n_fft < 1:
        raise ValueError(f"mels and n_fft must be at least 1, got {mels} and {n_fft}")
    # On the CPU, also where tensors are made without memory: values are looked at.
    double: dict[str, Any] = {"dtype": torch.float64, "device": "cpu"}
    ends = hz_to_mel(torch.tensor([fmin, fmax], **double), style)
    low, high = ends.tolist()
    corners = mel_to_hz(torch.linspace(low, high, mels + 2, **double), style)
    bins = torch.arange(n_fft // 2 + 1, **double) * rate / n_fft
    left, middle, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
    filters = torch.minimum(rising, falling).clamp(min=0)
    empty = (filters == 0).all(dim=1).nonzero()[:, 0].tolist()
    if empty:
        first = empty[0]
        raise ValueError(
            f"{len(empty)} of {mels} bands lie between two frequencies of the transform, the first "
            f"from {corners[first]:.0f} to {corners[first + 2]:.0f} Hz, where they are "
            f"{rate / n_fft:.1f} Hz apart: take fewer mels, a larger n_fft, or another fmin "
            f"({fmin:g}) and fmax ({fmax:g})"
        )
    if manner_of(style).is_normed:
        filters = filters * 2 / (right - left)
    return filters.float().to(torch.get_default_device())


def mel_spectrogram(
    waves: Tensor,
    rate: int,
    *,
    style: Style = "librosa",
    n_fft: int = 2048,
    hop: int | None = None,
    mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    power: Literal[1, 2] | None = None,
) -> Tensor:
    """How loud each band is in each frame, as librosa, torchaudio or HTK have it.

    Args:
        waves: ``[..., N]``, float32 or float64.
        rate: samples a second, in Hz.
        style: whose mel scale, areas, window and padding. librosa and torchaudio have a Hann window
            and sum energies; HTK a Hamming window, and sums magnitudes.
        n_fft: samples of a frame.
        hop: from one frame to the next; None: a quarter of ``n_fft``.
        mels, fmin, fmax: as of ``mel_filters``.
        power: 1 sums magnitudes, 2 their squares; None: the style's.

    Returns:
        ``[..., mels, N // hop + 1]``. Differentiable.

    Raises:
        ValueError: what ``mel_filters`` refuses, or a style that is unknown.
        RuntimeError: what ``fastcv.ops.mel_spectrogram`` refuses.

    Example:
        >>> import torch
        >>> from fastcv.audio import mel_spectrogram
        >>> mel_spectrogram(torch.randn(22050), 22050).shape
        torch.Size([128, 44])
    """
    manner = manner_of(style)
    filters = mel_filters(rate, n_fft, mels, fmin=fmin, fmax=fmax, style=style).to(waves)
    found = bands_of(
        waves.reshape(-1, waves.shape[-1]),
        make_window(manner.window, n_fft).to(waves),
        filters,
        n_fft // 4 if hop is None else hop,
        pad=n_fft // 2,
        pad_mode=manner.pad_mode,
        power=manner.power if power is None else power,
    )
    return found.reshape(*waves.shape[:-1], *found.shape[1:])


def invert_mel(mel: Tensor, filters: Tensor) -> Tensor:
    """A spectrogram whose bands are these: by the filters' pseudo-inverse, and never below 0.

    Which frequency of a band it was is lost; what comes back is spread over the band.

    Args:
        mel: ``[..., M, T]``.
        filters: ``[M, F]``, of ``mel_filters``.

    Returns:
        ``[..., F, T]``.

    Example:
        >>> import torch
        >>> from fastcv.audio import invert_mel, mel_filters
        >>> filters = mel_filters(16000, 400, 40)
        >>> mel = filters @ torch.rand(201, 9)
        >>> invert_mel(mel, filters).shape
        torch.Size([201, 9])
    """
    return (torch.linalg.pinv(filters.double()).to(mel) @ mel).clamp(min=0)
