"""Texts out of a file, a line each."""

from __future__ import annotations

import os
import unicodedata
import warnings
from pathlib import Path


def read_texts(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a UTF-8 file in Unicode's normal form NFC; empty ones are passed over.

    Lines that are no UTF-8 are left out, with a warning that counts them.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no text.

    Example:
        >>> import pathlib, tempfile
        >>> from fastcv.language import read_texts
        >>> path = pathlib.Path(tempfile.mkdtemp(), "texts.txt")
        >>> _ = path.write_text("a red seven\\n\\nBäume\\n", "utf-8")
        >>> read_texts(path)
        ['a red seven', 'Bäume']
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    texts, broken = [], 0
    for line in path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines():
        try:
            text = unicodedata.normalize("NFC", line.decode("utf-8")).strip()
        except UnicodeDecodeError:
            broken += 1
            continue
        if text:
            texts.append(text)
    if broken:
        warnings.warn(f"{path}: {broken} lines are no UTF-8 and were left out", stacklevel=2)
    if not texts:
        raise ValueError(f"{path} has no text: it must have one a line, in UTF-8")
    return texts
