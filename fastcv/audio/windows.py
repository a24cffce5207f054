"""What frames are multiplied by, and whether they cover a sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

WindowName = Literal["hamming", "hann", "rectangular"]
MAKERS: dict[str, Callable[[int], Tensor]] = {
    "hamming": torch.hamming_window,
    "hann": torch.hann_window,
    "rectangular": torch.ones,
}
LEAST = 1e-6  # of the largest sum of windows' squares: below it samples cannot be had back


def make_window(name: WindowName, size: int) -> Tensor:
    """A window of ``size`` samples, of which the next one would repeat the first.

    Args:
        name: ``"hamming"``, ``"hann"`` or ``"rectangular"``.
        size: in samples, 1 or more.

    Returns:
        ``[size]`` float32.

    Raises:
        ValueError: another name, or no sample.

    Example:
        >>> from fastcv.audio import make_window
        >>> make_window("hann", 4)
        tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    if name not in MAKERS:
        raise ValueError(f"window must be one of {', '.join(get_args(WindowName))}, got {name!r}")
    if size < 1:
        raise ValueError(f"a window must have a sample or more, got {size}")
    return MAKERS[name](size)


def samples_of(milliseconds: float, rate: int, name: str) -> int:
    """The nearest whole number of samples.

    Raises:
        ValueError: that is none.
    """
    samples = round(milliseconds * rate / 1000)
    if samples < 1:
        raise ValueError(f"{name} must be a sample or more, got {milliseconds} ms at {rate} Hz")
    return samples


def overlap_sum(window: Tensor, hop: int) -> Tensor:
    """``[hop]``: the sum of all windows' squares that cover each sample, once frames repeat."""
    padded = torch.nn.functional.pad(window.double().square(), (0, -len(window) % hop))
    return padded.view(-1, hop).sum(dim=0)


def check_cover(window: Tensor, hop: int) -> None:
    """Refuses frames from which a sound cannot be put together again.

    Raises:
        ValueError: samples that no frame covers, or none but with a weight of nearly 0.

    Example:
        >>> from fastcv.audio.windows import check_cover, make_window
        >>> check_cover(make_window("hann", 8), hop=8)
        Traceback (most recent call last):
        ...
        ValueError: frames of 8 samples, a new one every 8, leave samples out: take a shorter hop
    """
    sums = overlap_sum(window, hop)
    if float(sums.min()) <= LEAST * float(sums.max()):
        raise ValueError(
            f"frames of {len(window)} samples, a new one every {hop}, leave samples out: take a "
            "shorter hop"
        )
