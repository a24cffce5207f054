"""A sound that a model made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from fastcv._wav import write_wav
from fastcv.draw.sound import SoundColumns, columns_of, draw_sound
from fastcv.draw.typeface import FontPath
from fastcv.images import SUFFIXES, ImageInput
from fastcv.results._drawable import Drawable

BLOCK = 2**20  # samples that are drawn at a time


@dataclass(repr=False, eq=False)
class Audio(Drawable):
    """A sound that a model made, or that somebody wants to look at.

    Args:
        samples: ``[C, N]`` or ``[N]``, floating point, in [-1, 1].
        rate: samples a second, in Hz.
        source: what it was made of, if that came from a file.
        name: what it is, for people.

    Raises:
        ValueError: samples of another shape, none, or a rate that is not above 0.

    Example:
        >>> import torch
        >>> from fastcv.results import Audio
        >>> made = Audio(torch.sin(torch.arange(8000) * 0.3), 8000)
        >>> made, made.seconds
        (Audio(1.00 s at 8000 Hz), 1.0)
    """

    samples: Tensor
    rate: int
    source: str | None = None
    name: str = ""
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.samples.ndim not in (1, 2) or self.samples.numel() == 0:
            raise ValueError(
                f"samples must be [C, N] or [N], one or more, got {list(self.samples.shape)}"
            )
        if self.rate < 1:
            raise ValueError(f"rate must be above 0, got {self.rate}")

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples.shape[-1] / self.rate

    @property
    def channels(self) -> Tensor:
        """``[C, N]``."""
        return self.samples.reshape(-1, self.samples.shape[-1])

    def __repr__(self) -> str:
        name = f"{self.name}, " if self.name else ""
        return f"{type(self).__name__}({name}{self.seconds:.2f} s at {self.rate} Hz)"

    def save(
        self,
        path: str | os.PathLike[str],
        image: ImageInput | None = None,
        *,
        font: FontPath | None = None,
    ) -> None:
        """Writes the sound to a ``.wav`` of 16 bits, the drawing to an image file, or
        ``to_dict()`` to a ``.json``.

        Args:
            path: where to.
            image: not used: a sound is drawn by itself.
            font: of the drawing, as of ``Drawable.draw``.

        Raises:
            ValueError: another suffix.
            ImportError: a drawing, and matplotlib is missing.
        """
        suffix = Path(path).suffix.lower()
        if suffix == ".wav":
            write_wav(path, self.channels, self.rate)
        elif suffix == ".json" or suffix in SUFFIXES:
            super().save(path, image, font=font)
        else:
            raise ValueError(
                f"path must end in .wav, .json or an image's suffix, got {Path(path).name!r}"
            )

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The waveform over seconds, and under it the spectrogram: Hz over seconds, dB as colours.

        Args:
            image: not used: a sound is drawn by itself.
            font: not used: matplotlib's own.

        Raises:
            ImportError: matplotlib is missing.
        """
        return draw_sound(self.columns(), ("waveform", "spectrogram"), self.name)

    def columns(self) -> SoundColumns:
        """What a picture shows of it: the mean of its channels."""
        wave = self.channels.detach().float().mean(dim=0)
        parts = wave.split(BLOCK)  # type: ignore[no-untyped-call]  # torch's
        return columns_of(parts, self.rate, len(wave))

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``name``, ``rate`` in Hz, ``seconds``, ``channels``, and the greatest sample as
        ``peak``."""
        return {
            "file": self.source,
            "name": self.name,
            "rate": self.rate,
            "seconds": round(self.seconds, 4),
            "channels": len(self.channels),
            "peak": round(float(self.channels.abs().max()), 6),
        }
