"""A sound that a model made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastcv._extras import need
from fastcv._wav import write_wav
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable

WINDOW = 0.032  # seconds of the picture's spectrogram: half as many Hz are told apart
COLUMNS = 1000  # of the picture at most, however long the sound is
RANGE = 80.0  # dB below the loudest that are drawn


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
            return
        try:
            super().save(path, image, font=font)
        except ValueError as error:
            if "must end in" not in str(error):
                raise
            raise ValueError(
                f"path must end in .wav, .json or an image's suffix, got {Path(path).name!r}"
            ) from None

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The waveform over seconds, and under it the spectrogram: Hz over seconds, dB as colours.

        Args:
            image: not used: a sound is drawn by itself.
            font: not used: matplotlib's own.

        Raises:
            ImportError: matplotlib is missing.
        """
        figure = need("matplotlib.figure", extra="viz").Figure(
            figsize=(8, 4.4), layout="constrained"
        )
        backend = need("matplotlib.backends.backend_agg", extra="viz")
        canvas = backend.FigureCanvasAgg(figure)
        wave, spectrum = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
        self.draw_waveform(wave)
        shown = self.draw_spectrogram(spectrum)
        figure.colorbar(shown, ax=spectrum, label="dB", pad=0.01)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())

    def draw_waveform(self, axes: Any) -> None:
        """The mean of the channels on matplotlib's axes; of many samples a column its range."""
        wave = self._mono()
        step = max(1, len(wave) // (2 * COLUMNS))
        whole = wave[: len(wave) // step * step].reshape(-1, step)
        times = np.arange(len(whole)) * step / self.rate
        if step == 1:
            axes.plot(times, whole[:, 0], linewidth=0.8)
        else:
            axes.fill_between(times, whole.min(axis=1), whole.max(axis=1), linewidth=0.3)
        axes.set(ylabel="amplitude", xlim=(0, self.seconds))
        axes.margins(x=0)

    def draw_spectrogram(self, axes: Any) -> Any:
        """The spectrogram on matplotlib's axes; returns what a colour bar is made for."""
        wave = torch.from_numpy(self._mono())
        size = min(max(16, round(WINDOW * self.rate)), 8192)
        hop = max(1, size // 4, len(wave) // COLUMNS)
        padded = torch.nn.functional.pad(wave, (size // 2, size))
        frames = padded.unfold(0, size, hop)[: len(wave) // hop + 1]
        level = torch.fft.rfft(frames * torch.hann_window(size)).abs().square().T
        decibels = 10 * (level / level.max().clamp(min=1e-20)).clamp(min=1e-10).log10()
        shown = axes.imshow(
            decibels.numpy(),
            origin="lower",
            aspect="auto",
            extent=(0, self.seconds, 0, self.rate / 2),
            vmin=-RANGE,
            vmax=0,
            cmap="magma",
        )
        axes.set(xlabel="seconds", ylabel="Hz")
        return shown

    def _mono(self) -> np.ndarray:
        return self.channels.detach().float().mean(dim=0).nan_to_num(0).cpu().numpy()

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
