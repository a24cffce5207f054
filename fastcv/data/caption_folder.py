"""Pictures with sentences about each, as people's files have them."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._image import read
from fastcv.language.tokenizer import tokenize
from fastcv.language.vocabulary import Vocabulary

Line = tuple[str, Any, Any]
"""Where something stands in the file; a picture's name, and a caption."""


class CaptionFolder(Dataset[tuple[Tensor, tuple[str, ...]]]):
    """Items ``(image, captions)``: ``[3, H, W]`` float32 in [0, 1], and the picture's sentences.

    Of the file three forms are known, by what is in it:

    - COCO's JSON: ``images`` with ``id`` and ``file_name``, ``annotations`` with ``image_id`` and
      ``caption``;
    - Karpathy's JSON of splits: ``images`` with ``filename``, maybe ``filepath``, ``split``, and
      ``sentences`` with ``raw`` or ``tokens``;
    - CSV as of Flickr8k and Flickr30k: a picture's name and a caption on each line, with a comma, a
      bar or a tab between; a number between the two, ``#0`` behind the name and a first line of
      titles are left out.

    What is broken is left out and counted: lines without a caption or a name, captions without a
    word, annotations of no picture. One warning tells.

    Args:
        images: a folder.
        captions: the file, UTF-8.
        split: of Karpathy's form: only that, such as ``"test"``; ``"train"`` has ``"restval"``
            too, as is usual.

    Attributes:
        broken: how many entries were left out.

    Raises:
        FileNotFoundError: there is no such file, or a picture that it names is missing.
        ValueError: it has none of the three forms, or no caption, or ``split`` is of another form
            or not there; (on access) a broken picture.

    Example:
        >>> import pathlib, tempfile
        >>> from PIL import Image
        >>> from fastcv.data import CaptionFolder
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (8, 6)).save(folder / "a.png")
        >>> lines = "image,caption\\na.png,A cat.\\na.png,One cat.\\n"
        >>> _ = (folder / "captions.csv").write_text(lines)
        >>> data = CaptionFolder(folder, folder / "captions.csv")
        >>> image, captions = data[0]
        >>> image.shape, captions
        (torch.Size([3, 6, 8]), ('A cat.', 'One cat.'))
        >>> data.vocabulary()
        Vocabulary of 8 words
    """

    def __init__(
        self,
        images: str | os.PathLike[str],
        captions: str | os.PathLike[str],
        *,
        split: str | None = None,
    ) -> None:
        folder, path = Path(images), Path(captions)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            text = path.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(f"{path} must be UTF-8, and is not") from None
        found: dict[str, list[str]] = {}
        broken: list[str] = []
        for where, name, caption in _lines(path, text, split):
            good = isinstance(name, str) and name and isinstance(caption, str)
            if good and tokenize(caption):
                found.setdefault(name, []).append(caption.strip())
            else:
                broken.append(where)
        self.broken = len(broken)
        if broken:
            total = self.broken + sum(map(len, found.values()))
            warnings.warn(
                f"{path}: {self.broken} of {total} entries are broken and left out, the first is "
                f"{broken[0]}",
                stacklevel=2,
            )
        if not found:
            raise ValueError(f"{path} has no caption")
        missing = [name for name in found if not (folder / name).is_file()]
        if missing:
            more = f", and {len(missing) - 1} more are missing" if len(missing) > 1 else ""
            raise FileNotFoundError(
                f"there is no image {folder / missing[0]}, which {path.name} has a caption of{more}"
            )
        self.samples = [(folder / name, tuple(texts)) for name, texts in found.items()]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, tuple[str, ...]]:
        path, captions = self.samples[index]
        return read(path), captions

    def vocabulary(self, min_frequency: int = 1) -> Vocabulary:
        """The words of all captions, the most frequent first.

        Args:
            min_frequency: how often a word must be there, at least.

        Raises:
            ValueError: no word is there that often.
        """
        return Vocabulary.from_texts(
            (text for _, texts in self.samples for text in texts), min_frequency
        )


def _lines(path: Path, text: str, split: str | None) -> Iterator[Line]:
    if not text.lstrip().startswith(("{", "[")):
        if split is not None:
            raise ValueError(f"split is of Karpathy's form, and {path} is no JSON")
        return _of_csv(text)
    try:
        held = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    images = held.get("images") if isinstance(held, dict) else None
    if isinstance(images, list) and isinstance(held.get("annotations"), list):
        if split is not None:
            raise ValueError(f"split is of Karpathy's form, and {path} is of COCO's")
        return _of_coco(images, held["annotations"])
    if isinstance(images, list) and any("sentences" in _as_dict(image) for image in images):
        return _of_karpathy(path, images, split)
    raise ValueError(
        f"{path} must have images and annotations, as COCO's, or images with sentences, as "
        "Karpathy's"
    )


def _of_coco(images: list[Any], annotations: list[Any]) -> Iterator[Line]:
    names = {_key(image, "id"): _as_dict(image).get("file_name") for image in images}
    for i, annotation in enumerate(annotations):
        caption = _as_dict(annotation).get("caption")
        yield f"annotation {i}", names.get(_key(annotation, "image_id")), caption


def _of_karpathy(path: Path, images: list[Any], split: str | None) -> Iterator[Line]:
    of_split = (split, "restval") if split == "train" else (split,)
    chosen = [
        (i, image)
        for i, image in enumerate(map(_as_dict, images))
        if split is None or image.get("split") in of_split
    ]
    if not chosen:
        there = sorted({str(_as_dict(image).get("split")) for image in images})
        raise ValueError(f"split must be one of {', '.join(there)}, as {path} has, got {split!r}")
    for i, image in chosen:
        name = image.get("filename")
        if isinstance(name, str) and image.get("filepath"):
            name = f"{image['filepath']}/{name}"
        sentences = image.get("sentences")
        for sentence in sentences if isinstance(sentences, list) else [None]:
            held = _as_dict(sentence)
            tokens = held.get("tokens")
            caption = held.get("raw", " ".join(map(str, tokens)) if tokens else None)
            yield f"image {i}", name, caption


class Unquoted(csv.excel):
    """Lines in which quotation marks are signs like others."""

    quoting = csv.QUOTE_NONE


def _of_csv(text: str) -> Iterator[Line]:
    lines = text.splitlines()
    separator = next((sign for sign in ("\t", "|", ",") if sign in lines[0]), ",") if lines else ","
    # Flickr30k's captions have quotation marks that open nothing.
    dialect = csv.excel if separator == "," else Unquoted
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:  # each line by itself: a quotation mark that is left open spoils no other
            (row,) = csv.reader([line], dialect, delimiter=separator)
        except csv.Error:
            row = [line]
        name = row[0].strip().partition("#")[0]
        if number == 1 and name.lower() in ("image", "image_name", "file", "filename"):
            continue
        # Without quotation marks a comma may be in the caption.
        numbered = len(row) > 2 and row[1].strip().isdecimal()
        yield f"line {number}", name, separator.join(row[2 if numbered else 1 :])


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _key(value: Any, name: str) -> str:
    """An id as text: files have numbers and strings for the same."""
    return str(_as_dict(value).get(name, f"no {name}"))
