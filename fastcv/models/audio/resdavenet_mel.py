"""What ResDAVEnet hears: log mel spectrograms, made as it was trained with."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.audio.mel import mel_filters
from fastcv.audio.mfcc import LEAST, decibels
from fastcv.ops import mel_spectrogram as bands_of

RATE = 16000  # Hz
PREEMPHASIS = 0.97
WINDOW, HOP = 400, 160  # samples: 25 and 10 ms; the transform has no more than the window
MELS, FMIN = 40, 20.0  # bands, from this frequency in Hz
FRAMES = 2048  # 20.48 s


def resdavenet_mel(wave: Tensor) -> Tensor:
    """The log mel spectrogram of a sound, in dB below its loudest.

    The mean is taken off, and from each sample but the first 0.97 of the one before. Windows are
    symmetric Hamming windows of 25 ms, every 10 ms, around sample 0 first; what lies before the
    sound and behind it is the sound in a mirror. Energies are summed in 40 slaney bands and are 0
    to -80 dB.

    Args:
        wave: ``[N]`` at 16 kHz, floating point, of at least 201 samples.

    Returns:
        ``[40, N // 160 + 1]``.

    Raises:
        ValueError: another shape, or fewer samples than are mirrored.

    Source: Harwath, Hsu and Glass, "Learning Hierarchical Discrete Linguistic Units from
        Visually-Grounded Speech" (2020), section 4.1, and their code, whose window is symmetric.

    Example:
        >>> import torch
        >>> from fastcv.models.audio.resdavenet_mel import resdavenet_mel
        >>> mel = resdavenet_mel(torch.randn(16000))
        >>> mel.shape, abs(float(mel.max())) < 1e-4
        (torch.Size([40, 101]), True)
    """
    if wave.ndim != 1 or len(wave) <= WINDOW // 2:
        raise ValueError(
            f"a sound must be [N] with more than {WINDOW // 2} samples at {RATE} Hz, "
            f"{1000 * WINDOW / 2 / RATE:g} ms, got {list(wave.shape)}"
        )
    wave = wave - wave.mean()
    wave = torch.cat([wave[:1], wave[1:] - PREEMPHASIS * wave[:-1]])
    window = torch.hamming_window(WINDOW, periodic=False).to(wave)
    filters = mel_filters(RATE, WINDOW, MELS, fmin=FMIN).to(wave)
    energy = bands_of(
        wave[None], window, filters, HOP, pad=WINDOW // 2, pad_mode="reflect", power=2
    )[0]
    return decibels(energy, reference=max(float(energy.max()), LEAST))


def padded_mels(mels: list[Tensor], frames: int = FRAMES) -> tuple[Tensor, Tensor]:
    """Spectrograms of one length, as the network was trained with: zeros behind.

    Args:
        mels: ``[40, T]`` each.
        frames: the length; what is longer is cut, with a warning.

    Returns:
        ``(mels [B, 40, frames], lengths [B] int64)``: how many frames are each sound's own, on the
        CPU.
    """
    longest = max(mel.shape[1] for mel in mels)
    if longest > frames:
        warnings.warn(
            f"a sound of {longest} frames is cut to {frames}, {frames * HOP / RATE:.2f} s",
            stacklevel=3,
        )
    lengths = [min(mel.shape[1], frames) for mel in mels]
    padded = [F.pad(mel[:, :frames], (0, frames - n)) for mel, n in zip(mels, lengths, strict=True)]
    return torch.stack(padded), torch.tensor(lengths)
