"""What a detector found in an image, as tensors."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class FoundBoxes(NamedTuple):
    """What was found in one image, by falling score."""

    boxes: Tensor
    """``[N, 4]``."""
    scores: Tensor
    """``[N]``."""
    labels: Tensor
    """``[N]`` int64, 1 and up."""
