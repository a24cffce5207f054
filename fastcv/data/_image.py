"""A picture's file as the models want it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from fastcv.images import find_images, read_image


def read(path: Path) -> Tensor:
    """RGB ``[3, H, W]`` float32 in [0, 1]; errors as ``read_image`` has them."""
    return read_image(path).float() / 255


def pictures_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The files of a folder's pictures, before an epoch begins.

    Raises:
        FileNotFoundError: no such folder, one without pictures, or a link to nothing.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    files = find_images(folder)
    check_links(files)
    return files


def check_links(paths: Iterable[Path]) -> None:
    """Before an epoch begins.

    Raises:
        FileNotFoundError: a path is a link to a file that is not there.
    """
    for path in paths:
        if path.is_symlink() and not path.exists():
            raise FileNotFoundError(f"there is no image {path}: it is a link to nothing")
