"""A picture's file as the models want it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from fastcv.images import read_image


def read(path: Path) -> Tensor:
    """RGB ``[3, H, W]`` float32 in [0, 1]; errors as ``read_image`` has them."""
    return read_image(path).float() / 255


def check_links(paths: Iterable[Path]) -> None:
    """Before an epoch begins.

    Raises:
        FileNotFoundError: a path is a link to a file that is not there.
    """
    for path in paths:
        if path.is_symlink() and not path.exists():
            raise FileNotFoundError(f"there is no image {path}: it is a link to nothing")
