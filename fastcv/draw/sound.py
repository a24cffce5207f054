"""Pictures of sounds, of any length: a sound comes in pieces and becomes columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastcv._extras import need

Kind = Literal["waveform", "power", "spectrogram", "mel", "mfcc"]
KINDS: tuple[Kind, ...] = ("waveform", "power", "spectrogram", "mel", "mfcc")
COLUMNS = 1000  # at most, however long the sound is
RANGE = 80.0  # dB below the loudest that are drawn
MELS, COEFFICIENTS = 40, 13
WIDTH, HEIGHT = 8.0, 1.9  # of a panel, in hundreds of pixels


@dataclass(frozen=True)
class SoundColumns:
    """What a picture shows of a sound.

    Args:
        low, high: ``[C]``, the least and the greatest sample of each column.
        energy: ``[F, D]``, the mean of a column's frames, of evenly spaced frequencies up to half
            the rate.
        seconds: of the sound.
        rate: samples a second, in Hz.
    """

    low: Tensor
    high: Tensor
    energy: Tensor
    seconds: float
    rate: int


def columns_of(blocks: Iterable[Tensor], rate: int, samples: int) -> SoundColumns:
    """The columns of a sound; of it no more than a piece is in memory.

    Args:
        blocks: ``[N]`` each, floating point.
        rate: samples a second, in Hz.
        samples: how many all pieces have.
    """
    from fastcv.audio.stft import HOP_MS, WINDOW_MS, stft_blocks

    columns = min(COLUMNS, samples)
    low, high = torch.full((columns,), torch.inf), torch.full((columns,), -torch.inf)

    def watched() -> Iterator[Tensor]:
        first = 0
        for block in blocks:
            wave = block.detach().float().cpu().nan_to_num(0)
            of = (torch.arange(first, first + len(wave)) * columns // samples).clamp(
                max=columns - 1
            )
            low.scatter_reduce_(0, of, wave, "amin")
            high.scatter_reduce_(0, of, wave, "amax")
            first += len(wave)
            yield wave

    # A rate of a few Hz, too: a frame has 16 samples or more.
    window_ms, hop_ms = (max(ms, n * 1000 / rate) for ms, n in ((WINDOW_MS, 16), (HOP_MS, 4)))
    frames = samples // round(hop_ms * rate / 1000) + 1
    wide = min(COLUMNS, frames)
    total = torch.zeros(0)
    counts, first = torch.zeros(wide), 0
    for spectra in stft_blocks(watched(), rate, window_ms=window_ms, hop_ms=hop_ms):
        if len(total) == 0:
            total = torch.zeros(len(spectra), wide)
        of = (torch.arange(first, first + spectra.shape[1]) * wide // frames).clamp(max=wide - 1)
        total.index_add_(1, of, spectra.abs().square())
        counts.index_add_(0, of, torch.ones(len(of)))
        first += spectra.shape[1]
    return SoundColumns(low, high, total / counts.clamp(min=1), samples / rate, rate)


def draw_sound(columns: SoundColumns, kinds: Sequence[Kind], title: str = "") -> Image.Image:
    """Panels one below the other, with axes in seconds, Hz and dB.

    Args:
        columns: of the sound.
        kinds: what to show: the waveform; the power spectrum, a mean over all frames; the
            spectrogram; 40 mel bands; 13 coefficients of their shape.
        title: above.

    Raises:
        ImportError: matplotlib is missing.
    """
    figure = new_figure(HEIGHT * len(kinds) + 0.6)
    panels = figure.subplots(len(kinds), 1, squeeze=False)[:, 0]
    for axes, kind in zip(panels, kinds, strict=True):
        PAINTERS[kind](axes, columns)
    if title:
        panels[0].set_title(title)
    return picture_of(figure)


def new_figure(height: float) -> Any:
    """matplotlib's, for panels one below the other, so many hundreds of pixels high.

    Raises:
        ImportError: matplotlib is missing.
    """
    Figure = need("matplotlib.figure", extra="viz").Figure
    return Figure(figsize=(WIDTH, height), layout="constrained")


def picture_of(figure: Any) -> Image.Image:
    """What is on a figure of matplotlib's."""
    canvas = need("matplotlib.backends.backend_agg", extra="viz").FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def draw_waveform(axes: Any, columns: SoundColumns) -> None:
    """The range of each column, on matplotlib's axes."""
    times = (np.arange(len(columns.low)) + 0.5) * columns.seconds / len(columns.low)
    # With edges: where a column is one number there is nothing to fill.
    low, high = columns.low.numpy(), columns.high.numpy()
    axes.fill_between(times, low, high, color="tab:blue", linewidth=0.8)
    axes.set(xlabel="seconds", ylabel="amplitude", xlim=(0, columns.seconds))


def _power(axes: Any, columns: SoundColumns) -> None:
    level = _decibels(columns.energy.mean(dim=1))
    axes.plot(np.linspace(0, columns.rate / 2, len(level)), level.numpy(), linewidth=0.8)
    axes.set(xlabel="Hz", ylabel="dB", xlim=(0, columns.rate / 2))


def _spectrogram(axes: Any, columns: SoundColumns) -> None:
    _image(axes, columns, _decibels(columns.energy), columns.rate / 2, "Hz", "dB")


def _mel(axes: Any, columns: SoundColumns) -> None:
    level = _decibels(_bands(columns))
    _image(axes, columns, level, len(level), "mel band", "dB")


def _mfcc(axes: Any, columns: SoundColumns) -> None:
    from fastcv.audio.mfcc import dct_matrix

    level = _decibels(_bands(columns))
    count = min(COEFFICIENTS, len(level))
    found = dct_matrix(len(level), count).float() @ level
    # The first says how loud it is, and would hide the others.
    _image(axes, columns, found[1:], count, "coefficient", "", first=1)


PAINTERS = {
    "waveform": draw_waveform,
    "power": _power,
    "spectrogram": _spectrogram,
    "mel": _mel,
    "mfcc": _mfcc,
}


def _bands(columns: SoundColumns) -> Tensor:
    """The energies of mel bands, fewer where the transform is too short for so many."""
    from fastcv.audio.mel import mel_filters

    size = 2 * (len(columns.energy) - 1)
    for mels in (MELS, 20, 10, 5, 2):
        try:
            return mel_filters(columns.rate, size, mels) @ columns.energy
        except ValueError:
            continue
    return columns.energy


def _decibels(energy: Tensor) -> Tensor:
    from fastcv.audio.mfcc import decibels

    return decibels(energy / energy.max().clamp(min=1e-20), top_db=RANGE)


def _image(
    axes: Any,
    columns: SoundColumns,
    values: Tensor,
    top: float,
    label: str,
    unit: str,
    first: float = 0.0,
) -> None:
    shown = axes.imshow(
        values.numpy(),
        origin="lower",
        aspect="auto",
        extent=(0, columns.seconds, first, top),
        cmap="magma",
        interpolation="nearest",
    )
    axes.set(xlabel="seconds", ylabel=label)
    axes.figure.colorbar(shown, ax=axes, label=unit, pad=0.01)
