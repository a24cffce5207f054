"""VOC's image sets: a list of names, a line each, and a folder of pictures that have them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from pathlib import Path

from fastcv.images import is_image

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, and the encodings that they mean."""


def image_names(path: Path, exists: Callable[[str], bool]) -> list[str]:
    """The names in a list of images.

    Lists of one class have a second column, whether the image shows it: 1, 0 or -1. It is taken
    off where there is nothing of the whole line's name, so that names may have spaces.

    Args:
        path: of the list; UTF-8 unless a byte order mark says otherwise.
        exists: whether there is something of a name.
    """
    content = path.read_bytes()
    encoding = next((e for mark, e in MARKS.items() if content.startswith(mark)), "utf-8")
    # Bytes that are no UTF-8 stay as they are in file names.
    lines = content.decode(encoding, "surrogateescape").splitlines()
    return [_name(line.strip(), exists) for line in lines if line.strip()]


def _name(line: str, exists: Callable[[str], bool]) -> str:
    column = re.fullmatch(r"(.*\S)\s+(?:-1|0|1)", line)
    return line if column is None or exists(line) else column[1]


class NamedPictures:
    """A folder's pictures by their names without a suffix.

    Args:
        folder: of the pictures; names may lead into folders in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: dict[Path, Path] | None = None

    def __getitem__(self, name: str) -> Path:
        """``<name>.jpg``, or where there is none, a picture of another suffix."""
        jpeg = self.folder / f"{name}.jpg"
        if jpeg.is_file():
            return jpeg
        if self._found is None:  # one listing, for there may be many
            self._found = {p.with_suffix(""): p for p in self.folder.rglob("*") if is_image(p)}
        return self._found.get(self.folder / name, jpeg)
