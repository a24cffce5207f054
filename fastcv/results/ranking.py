"""Candidates in the order of how well they match a query: pictures of a text, or the reverse."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw
from torch import Tensor

from fastcv.draw.canvas import Canvas
from fastcv.draw.typeface import FontPath, Typeface
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable
from fastcv.results.gallery import Gallery

SIDE = 256  # pixels of the query's picture beside a list of texts
LIST_WIDTH = 704  # pixels
ROW = 30  # pixels of a text in the list
COLUMNS = 5  # pictures in a row
LETTERS = 18  # pixels of the query's text
INK = (30, 30, 30)


@dataclass(repr=False, eq=False)
class Ranking(Drawable):
    """What matches a query, the best first.

    The query is a text, a picture, or a picture and a text that changes it. The candidates are
    pictures or texts.

    Args:
        scores: ``[K]``, the greatest first; cosines of a joint embedding.
        indices: ``[K]`` int64, which of the candidates they are.
        texts: ``K`` texts, where texts were ranked.
        pictures: ``K`` pictures in any form that ``read_image`` takes, where pictures were. A path
            is read only to draw it.
        text: the query's; empty where it is a picture alone.
        source: the file of the query's picture.

    Raises:
        ValueError: another number of scores, indices, texts or pictures, or not one of texts and
            pictures.

    Example:
        >>> import torch
        >>> from fastcv.results import Ranking
        >>> found = Ranking(
        ...     torch.tensor([0.9, 0.25]), torch.tensor([3, 0]), texts=["a red seven", "grass"]
        ... )
        >>> found
        Ranking(2 texts, best 0.90: a red seven)
        >>> found.draw(torch.zeros(3, 96, 96)).size
        (960, 256)
    """

    scores: Tensor
    indices: Tensor
    texts: Sequence[str] | None = None
    pictures: Sequence[ImageInput] | None = None
    text: str = ""
    source: str | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.texts is None) == (self.pictures is None):
            raise ValueError("a ranking must have texts or pictures, and not both")
        ranked = self.texts if self.pictures is None else self.pictures
        sizes = [list(self.scores.shape), list(self.indices.shape), [len(ranked or ())]]
        if len(self.scores.shape) != 1 or sizes[1:] != sizes[:1] * 2:
            raise ValueError(
                "scores, indices and what is ranked must be [K] each, got "
                f"{', '.join(map(str, sizes))}"
            )

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        kind = "text" if self.pictures is None else "picture"
        best = f", best {self.scores[0]:.2f}: {self.name(0)}" if len(self) else ""
        return f"Ranking({len(self)} {kind}{'s' * (len(self) != 1)}{best})"

    def name(self, i: int) -> str:
        """What a person calls the candidate of rank ``i`` (0 is the best): the text, the file, or
        the number of a picture that has no file."""
        if self.texts is not None:
            return self.texts[i]
        assert self.pictures is not None
        picture = self.pictures[i]
        if isinstance(picture, (str, os.PathLike)):
            return os.fspath(picture)
        return f"picture {int(self.indices[i])}"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The query beside what matches it, with scores.

        Args:
            image: the query's picture; None: the file it came from, and none of a query of text.
            font: of the texts, as in ``Detections.draw``.

        Raises:
            ValueError: the query has neither text nor picture, or ``font`` is no font file.
        """
        query = None
        if image is not None or self.source is not None or not self.text:
            query = self._picture(image)
        sheet = self._list(query, font) if self.pictures is None else self._grid(query, font)
        return _under(self.text, sheet, font) if self.text else sheet

    def _list(self, query: Image.Image | None, font: FontPath | None) -> Image.Image:
        height = max(SIDE, ROW * len(self) + ROW // 2)
        sheet = Image.new("RGB", (LIST_WIDTH + SIDE * (query is not None), height), "white")
        if query is not None:
            scale = SIDE / max(query.size)
            size = [max(1, round(side * scale)) for side in query.size]
            sheet.paste(query.resize((size[0], size[1]), Image.Resampling.LANCZOS), (0, 0))
        canvas = Canvas(Image.new("RGB", (LIST_WIDTH, height), "white"), font)
        canvas.bars([(self.name(i), float(self.scores[i]), i) for i in range(len(self))])
        sheet.paste(canvas.finish(), (sheet.width - LIST_WIDTH, 0))
        return sheet

    def _grid(self, query: Image.Image | None, font: FontPath | None) -> Image.Image:
        assert self.pictures is not None
        tiles = [self._picture(picture) for picture in self.pictures]
        captions = [f"{float(score):.2f}" for score in self.scores]
        if query is not None:
            tiles.insert(0, query)
            captions.insert(0, "query")
        if not tiles:
            return Image.new("RGB", (SIDE, SIDE), "white")
        return Gallery(tiles, captions, columns=COLUMNS + (query is not None)).draw(font=font)

    def to_dict(self) -> dict[str, Any]:
        """``file`` and ``text`` of the query, and ``ranked``: of each ``index``, ``score``, and
        ``text`` or ``file``, None for a picture that has no file."""
        ranked: list[dict[str, Any]] = []
        numbers = zip(self.indices.tolist(), self.scores.tolist(), strict=True)
        for i, (index, score) in enumerate(numbers):
            row: dict[str, Any] = {"index": index, "score": score}
            if self.pictures is None:
                row["text"] = self.name(i)
            else:
                has_file = isinstance(self.pictures[i], (str, os.PathLike))
                row["file"] = self.name(i) if has_file else None
            ranked.append(row)
        return {"file": self.source, "text": self.text or None, "ranked": ranked}


def _under(text: str, sheet: Image.Image, font: FontPath | None) -> Image.Image:
    """The sheet under lines of text."""
    typeface = Typeface(LETTERS, font)
    lines = _wrapped(text, typeface, sheet.width - LETTERS)
    line_height = typeface.height(text) + LETTERS // 3
    top = line_height * len(lines) + LETTERS // 2
    whole = Image.new("RGB", (sheet.width, top + sheet.height), "white")
    whole.paste(sheet, (0, top))
    pen = ImageDraw.Draw(whole)
    for i, line in enumerate(lines):
        typeface.write(pen, (LETTERS // 2, LETTERS // 2 + (i + 0.5) * line_height), line, INK)
    return whole


def _wrapped(text: str, typeface: Typeface, room: float) -> list[str]:
    """At most three lines of it."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and typeface.length(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines if len(lines) <= 3 else [*lines[:2], lines[2] + " …"]
