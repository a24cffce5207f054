"""A mixture of voices, and the faces of those who speak."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

FACE_RATE = 25  # faces a second


class SoundAndFaces(NamedTuple):
    """A mixture and the faces of those who speak; or a batch of these.

    Args:
        waves: ``[S]`` or ``[B, S]`` floating.
        faces: ``[N, V, E]`` or ``[B, N, V, E]``: of each face an embedding for each of V times.
    """

    waves: Tensor
    faces: Tensor
