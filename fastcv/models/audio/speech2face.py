"""Speech2Face's voice encoder: from speech to what a face network says of the speaker."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._model import Model

RATE, WINDOW, HOP, FFT = 16_000, 400, 160, 512
POWER = 0.3  # of the magnitudes
# Channels, frames that are pooled before the convolution, and its stride: of the known port.
LAYERS = (
    *((64, 1, 1), (64, 1, 1), (128, 1, 1)),
    *((128, 2, 1), (128, 2, 1), (256, 2, 1), (512, 2, 1)),
    *((512, 1, 2), (512, 1, 2)),
)
KERNEL = 4


class Speech2Face(Model):
    """Nine convolutions over the spectrum, the mean over time, two layers.

    Args:
        features: numbers of a face: 4096 of VGG-Face, behind its layer fc7.
        width: channels of the first convolution; the others have as many times more as there.
        recogniser: from pictures of faces to ``[B, features]``; it is frozen, and only the voice
            encoder learns. None: targets are features.

    Source: Oh et al., "Speech2Face: Learning the Face Behind a Voice" (2019), section 3; layers,
        norms and input are those of a known port.

    Example:
        >>> import torch
        >>> from fastcv.models.audio.speech2face import Speech2Face
        >>> with torch.device("meta"):
        ...     model = Speech2Face()
        >>> sum(p.numel() for p in model.parameters())
        148062976
    """

    window: Tensor

    def __init__(
        self,
        *,
        features: int = 4096,
        width: int = 64,
        recogniser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        bins, before = FFT // 2 + 1, 2
        for channels, pooled, stride in LAYERS:
            channels = channels * width // LAYERS[0][0]
            if pooled > 1:
                layers.append(nn.MaxPool2d((pooled, 1)))
            norm = nn.BatchNorm2d(channels)
            layers += [nn.Conv2d(before, channels, KERNEL, stride), nn.ReLU(), norm]
            bins, before = (bins - KERNEL) // stride + 1, channels
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(before * bins, features), nn.ReLU(), nn.Linear(features, features)
        )
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.recogniser = recogniser
        if recogniser is not None:
            from fastcv.learn.transfer import freeze  # learn imports models, and comes first

            freeze(recogniser)

    def spectrum(self, waves: Tensor) -> Tensor:
        """What ``forward`` takes, of speech ``[B, S]`` at 16 kHz.

        Returns:
            ``[B, 2, T, 257]``: magnitudes to the power of 0.3, and angles; 598 frames for 6 s.

        Raises:
            ValueError: another shape, or shorter than a window of 400 samples.
        """
        if waves.ndim != 2 or waves.shape[1] < WINDOW:
            raise ValueError(f"waves must be [B, {WINDOW} or more], got {list(waves.shape)}")
        frames = waves.float().unfold(1, WINDOW, HOP) * self.window
        found = torch.fft.rfft(frames, FFT)
        return torch.stack([found.abs() ** POWER, found.angle()], 1).to(waves.dtype)

    def forward(self, spectra: Tensor) -> Tensor:
        """Features ``[B, features]`` of ``[B, 2, T, 257]``, as ``spectrum`` makes it.

        Raises:
            ValueError: another shape; under 259 frames, 2.6 s, a convolution has nothing to see.
        """
        shape = list(spectra.shape)
        if (
            len(shape) != 4
            or [shape[1], shape[3]] != [2, FFT // 2 + 1]
            or shape[2] < least_frames()
        ):
            raise ValueError(
                f"spectra must be [B, 2, {least_frames()} or more, {FFT // 2 + 1}], got {shape}"
            )
        return self.dense(self.convolutions(spectra).mean(2).flatten(1))

    def loss(self, output: Tensor, targets: Any) -> dict[str, Tensor]:
        """The mean square distance of the features, each of length 1, from those of the faces.

        Args:
            output: of ``forward``.
            targets: ``[B, features]``; or, with a ``recogniser``, pictures ``[B, 3, H, W]``.

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape.
        """
        if not isinstance(targets, Tensor):
            raise TypeError(f"targets must be a tensor, got {type(targets).__name__}")
        if self.recogniser is not None and targets.ndim == 4:
            with torch.no_grad():
                targets = self.recogniser(targets)
        if targets.shape != output.shape or not targets.is_floating_point():
            raise ValueError(
                f"targets must be {list(output.shape)}, got {list(targets.shape)} {targets.dtype}"
            )
        apart = F.normalize(output, dim=1) - F.normalize(targets, dim=1)
        return {"feature": apart.square().sum(1).mean()}


def least_frames() -> int:
    """How many frames give one behind the last convolution."""
    frames = 1
    for _, pooled, stride in reversed(LAYERS):
        frames = ((frames - 1) * stride + KERNEL) * pooled
    return frames
