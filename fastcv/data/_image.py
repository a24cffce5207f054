"""A picture's file as the models want it."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from fastcv.images import read_image


def read(path: Path) -> Tensor:
    """RGB ``[3, H, W]`` float32 in [0, 1]; errors as ``read_image`` has them."""
    return read_image(path).float() / 255
