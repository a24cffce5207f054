"""Decibels, and cepstral coefficients: the shape of a mel spectrum in few numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastcv.audio.mel import Style, manner_of, mel_spectrogram

LEAST = 1e-10  # energy that is taken for silence
RANGE = 80.0  # dB below the loudest: what is below is cut off
LIFTER = 22  # of HTK
FULL_SCALE = 2.0**15  # HTK takes 16-bit numbers


def decibels(energy: Tensor, *, reference: float = 1.0, top_db: float | None = RANGE) -> Tensor:
    """``10 log10(energy / reference)``, at most ``top_db`` below the largest.

    Args:
        energy: 0 or more; below 1e-10 it is that.
        reference: what is 0 dB.
        top_db: None cuts nothing.

    Returns:
        The same shape.

    Raises:
        ValueError: a reference or ``top_db`` that is not above 0.

    Example:
        >>> import torch
        >>> from fastcv.audio import decibels
        >>> decibels(torch.tensor([1.0, 0.001, 0.0]))
        tensor([  0., -30., -80.])
    """
    if reference <= 0 or (top_db is not None and top_db <= 0):
        raise ValueError(f"reference and top_db must be above 0, got {reference} and {top_db}")
    found = 10 * energy.clamp(min=LEAST).log10() - 10 * math.log10(max(reference, LEAST))
    if top_db is not None and found.numel():
        found = torch.maximum(found, found.max() - top_db)
    return found


def energies(levels: Tensor, *, reference: float = 1.0) -> Tensor:
    """What ``decibels`` undoes, but for what it cut off."""
    return reference * 10 ** (levels / 10)


def dct_matrix(mels: int, count: int) -> Tensor:
    """``[count, mels]`` float64: the orthonormal cosine transform, its first rows."""
    k, n = torch.arange(count).double()[:, None], torch.arange(mels).double()
    rows = math.sqrt(2 / mels) * torch.cos(math.pi / mels * (n + 0.5) * k)
    rows[0] /= math.sqrt(2)
    return rows


def mfcc(
    waves: Tensor,
    rate: int,
    count: int = 20,
    *,
    style: Style = "librosa",
    n_fft: int = 2048,
    hop: int | None = None,
    mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
) -> Tensor:
    """Mel-frequency cepstral coefficients, as librosa, torchaudio or HTK have them.

    The first are the cosine transform of the logarithms of the bands: how loud, how high, and so on
    to finer shapes. librosa and torchaudio take decibels, at most 80 below the loudest; HTK natural
    logarithms of magnitudes of 16-bit numbers, coefficients from the first on (not the mean), and
    makes later ones larger (a lifter of 22).

    Args:
        waves: ``[..., N]``, float32 or float64.
        rate: samples a second, in Hz.
        count: coefficients of a frame.
        style, n_fft, hop, mels, fmin, fmax: as of ``mel_spectrogram``.

    Returns:
        ``[..., count, N // hop + 1]``.

    Raises:
        ValueError: more coefficients than bands, or what ``mel_spectrogram`` refuses.

    Source: Davis and Mermelstein (1980); Young et al., "The HTK Book" (2006), section 5.6.

    Example:
        >>> import torch
        >>> from fastcv.audio import mfcc
        >>> mfcc(torch.randn(22050), 22050, 13).shape
        torch.Size([13, 44])
    """
    is_htk = manner_of(style) is manner_of("htk")
    most = mels - is_htk
    if not 1 <= count <= most:
        raise ValueError(f"count must be 1 to {most} for {mels} mels, got {count}")
    options = {"n_fft": n_fft, "hop": hop, "mels": mels, "fmin": fmin, "fmax": fmax}
    if not is_htk:
        mel = mel_spectrogram(waves, rate, style=style, **options)  # type: ignore[arg-type]
        return dct_matrix(mels, count).to(mel) @ decibels(mel)
    mel = mel_spectrogram(waves * FULL_SCALE, rate, style=style, **options)  # type: ignore[arg-type]
    # Bands begin at 1: below it HTK takes the logarithm of 1.
    found = dct_matrix(mels, count + 1)[1:].to(mel) @ mel.clamp(min=1).log()
    order = torch.arange(1, count + 1, dtype=found.dtype, device=found.device)
    return found * (1 + LIFTER / 2 * torch.sin(torch.pi * order / LIFTER))[:, None]


def invert_mfcc(coefficients: Tensor, mels: int = 128) -> Tensor:
    """Energies of bands with these coefficients, of the styles of librosa and torchaudio: those
    that are not there are taken for 0.

    Args:
        coefficients: ``[..., count, T]``.
        mels: how many bands.

    Returns:
        ``[..., mels, T]``.

    Example:
        >>> import torch
        >>> from fastcv.audio import invert_mfcc, mel_spectrogram, mfcc
        >>> noise = torch.randn(22050)
        >>> back = invert_mfcc(mfcc(noise, 22050, 128))  # all of them
        >>> torch.allclose(back, mel_spectrogram(noise, 22050), rtol=1e-3)
        True
    """
    return energies(dct_matrix(mels, coefficients.shape[-2]).T.to(coefficients) @ coefficients)
