"""Tacotron 2's frames: from sound to log mel magnitudes, and back."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.audio import griffin_lim, invert_mel, mel_filters
from fastcv.ops import mel_spectrogram

RATE, FFT, HOP = 22_050, 1024, 256
LOW, HIGH = 0.0, 8000.0  # Hz
FLOOR = 1e-5  # magnitudes below it are this


class TacotronMel(nn.Module):
    """The front end, and the vocoder that needs no weights.

    Args:
        mels: bands of a frame.

    Source: Shen et al. (2018), section 2.1; numbers are NVIDIA's.

    Example:
        >>> import torch
        >>> from fastcv.models.audio.tacotron_mel import TacotronMel
        >>> front_end = TacotronMel()
        >>> mel = front_end(torch.rand(1, 22050) - 0.5)
        >>> mel.shape, front_end.invert(mel[0], iterations=1).shape
        (torch.Size([1, 80, 87]), torch.Size([22272]))
    """

    filters: Tensor
    window: Tensor
    rate, hop = RATE, HOP

    def __init__(self, mels: int = 80) -> None:
        super().__init__()
        filters = mel_filters(RATE, FFT, mels, fmin=LOW, fmax=HIGH)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        """Frames of sound at 22,050 Hz, one around each 256th sample.

        Args:
            waves: ``[B, N]`` in [-1, 1].

        Returns:
            ``[B, mels, N // 256 + 1]``: ``log(max(magnitude, 1e-5))``.

        Raises:
            ValueError: another shape, or not more than 512 samples, which are mirrored at the ends.
        """
        if waves.ndim != 2 or waves.shape[1] <= FFT // 2:
            raise ValueError(f"waves must be [B, {FFT // 2 + 1} or more], got {list(waves.shape)}")
        return mel_spectrogram(
            waves, self.window, self.filters, HOP, pad=FFT // 2, power=1, floor=FLOOR
        )

    def invert(self, mel: Tensor, *, iterations: int = 60, seed: int = 0) -> Tensor:
        """Sound of frames: the filters' pseudo-inverse, then Griffin-Lim.

        Args:
            mel: ``[mels, T]``, of ``forward``.
            iterations: of Griffin-Lim.
            seed: of the phases that it begins with.

        Returns:
            ``[T * 256]`` in [-1, 1]; what is louder is made quieter as a whole.
        """
        magnitudes = invert_mel(mel.exp(), self.filters)
        # A silent frame behind the last, so that T frames are T hops.
        magnitudes = F.pad(magnitudes, (0, 1))
        wave = griffin_lim(magnitudes, hop=HOP, iterations=iterations, seed=seed)
        return wave / wave.abs().max().clamp(min=1)
