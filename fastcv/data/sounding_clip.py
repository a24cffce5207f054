"""Frames and the sound that belongs to them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class SoundingClip(NamedTuple):
    """A clip with its sound, or a batch of them.

    Args:
        frames: ``[T, 3, H, W]`` in [0, 1]; of a batch ``[B, T, 3, H, W]``.
        waves: ``[N]`` in [-1, 1]; of a batch ``[B, N]``.
    """

    frames: Tensor
    waves: Tensor
