"""A text that a model said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastcv.draw.sound import draw_waveform, new_figure, picture_of
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results.audio import Audio

SHOWN = 40  # symbols that are written at the alignment, at most


@dataclass(repr=False, eq=False)
class Speech(Audio):
    """The sound of a text, the mel spectrogram it was made of, and where each frame looked.

    Args:
        samples: ``[S]`` or ``[1, S]`` float32 in [-1, 1].
        rate: in Hz.
        mel: ``[M, T]``, log magnitudes of M bands.
        alignment: ``[T, N]``, shares of each frame's attention that symbols got.
        text: what was to be said.
        symbols: N, what of it was read.

    Raises:
        ValueError: an alignment that fits neither the frames nor the symbols.

    Example:
        >>> import torch
        >>> from fastcv.results import Speech
        >>> said = Speech(
        ...     torch.zeros(2560), 22050, mel=torch.rand(80, 10),
        ...     alignment=torch.rand(10, 2).softmax(1), text="Hi", symbols=("h", "i"),
        ... )
        >>> said, said.draw().width
        (Speech('Hi', 0.12 s at 22050 Hz, 10 frames), 800)
    """

    mel: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    alignment: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    text: str = ""
    symbols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        expected = [self.mel.shape[-1], len(self.symbols)]
        if self.mel.ndim != 2 or list(self.alignment.shape) != expected:
            raise ValueError(
                f"alignment must be [T, N] of mel [M, T] and N symbols, got "
                f"{list(self.alignment.shape)} of {list(self.mel.shape)} and {len(self.symbols)}"
            )

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 40 else self.text[:39] + "…"
        frames = self.mel.shape[1]
        return f"Speech({text!r}, {self.seconds:.2f} s at {self.rate} Hz, {frames} frames)"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """Waveform, mel spectrogram and alignment under each other.

        Args:
            image: not used: a sound is drawn by itself.
            font: not used: matplotlib's own.

        Raises:
            ImportError: matplotlib is missing.
        """
        figure = new_figure(6.4)
        wave, mel, looked = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.6, 2))
        draw_waveform(wave, self.columns())
        wave.set_xlabel("")
        for axes, values, name, ends in (
            (mel, self.mel, "mel band", (0, len(self.mel))),
            (looked, self.alignment.T, "symbol looked at", (len(self.symbols), 0)),
        ):
            axes.imshow(
                values.detach().float().nan_to_num(0).cpu().numpy(),
                origin="lower" if axes is mel else "upper",
                aspect="auto",
                interpolation="nearest",
                extent=(0, self.seconds, *ends),
                cmap="magma",
            )
            axes.set_ylabel(name)
        looked.set_xlabel("seconds")
        step = -(-len(self.symbols) // SHOWN) or 1
        looked.set_yticks(
            np.arange(0, len(self.symbols), step) + 0.5, self.symbols[::step], fontsize=8
        )
        return picture_of(figure)

    def to_dict(self) -> dict[str, Any]:
        """As of ``Audio``, and ``text``, ``symbols``, ``frames`` and ``looked_at``: of each frame
        the place of the symbol that it looked at most."""
        looked = self.alignment.argmax(1).tolist() if self.alignment.numel() else []
        return {
            **super().to_dict(),
            "text": self.text,
            "symbols": list(self.symbols),
            "frames": self.mel.shape[1],
            "looked_at": looked,
        }
