"""A sentence about a picture, and where the model looked at each word."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from torch import Tensor

from fastcv._files import replacing
from fastcv._json import plain
from fastcv.draw.canvas import Canvas
from fastcv.draw.contact_sheet import contact_sheet
from fastcv.draw.lit import lit
from fastcv.draw.typeface import FontPath, Typeface
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable

COLUMNS = 6  # of a strip
BLACK = (0, 0, 0)


@dataclass(repr=False, eq=False)
class Caption(Drawable):
    """What a captioner says of one picture.

    Args:
        words: in order.
        log_probs: ``[T + 1]``, natural logarithms of the probability of each word, and of the end
            behind them.
        attention: ``[T, h, w]``: where was looked at each word, shares of cells that cover the
            picture and add up to 1; None of a model that does not tell.
        alternatives: other sentences and their log-probabilities, the best first.
        source: the picture's path, if it came from a file.

    Raises:
        ValueError: log-probabilities or maps that are not of these words.

    Example:
        >>> import torch
        >>> from fastcv.results import Caption
        >>> caption = Caption(("a", "cat"), torch.tensor([-0.5, -0.25, -0.125]))
        >>> caption, caption.text, caption.log_prob
        (Caption('a cat', log-probability -0.88), 'a cat', -0.875)
    """

    words: tuple[str, ...]
    log_probs: Tensor
    attention: Tensor | None = None
    alternatives: tuple[tuple[str, float], ...] = ()
    classes: tuple[str, ...] = ()
    source: str | None = None

    def __post_init__(self) -> None:
        count = len(self.words)
        if self.log_probs.shape != (count + 1,):
            raise ValueError(f"log_probs must be [{count + 1}], got {list(self.log_probs.shape)}")
        if self.attention is not None:
            shape = list(self.attention.shape)
            if len(shape) != 3 or shape[0] != count:
                raise ValueError(f"attention must be [{count}, h, w], got {shape}")

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(self.words)

    @property
    def log_prob(self) -> float:
        """Of the sentence: the sum over its words and its end."""
        return float(self.log_probs.sum())

    def __repr__(self) -> str:
        return f"Caption({self.text!r}, log-probability {self.log_prob:.2f})"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The picture with the sentence under it; tiny pictures are enlarged.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: of the words: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.

        Raises:
            ValueError: no picture, or ``font`` is no font file.
        """
        canvas = Canvas(self._picture(image), font)
        return _with_lines(canvas.finish(), self._lines(canvas), canvas.typeface, canvas.pad)

    def draw_attention(
        self, image: ImageInput | None = None, *, font: FontPath | None = None
    ) -> Image.Image:
        """Word by word: the picture, bright where was looked, and the word under it.

        The first is the picture as it is.

        Args:
            image, font: as of ``draw``.

        Raises:
            ValueError: the model told no attention, no picture, or ``font`` is no font file.
        """
        if self.attention is None:
            raise ValueError("this caption has no attention: its model does not look at places")
        picture = self._picture(image)
        tiles = []
        for word, place in [("", None), *zip(self.words, self.attention, strict=True)]:
            canvas = Canvas(picture if place is None else lit(picture, place), font)
            word = canvas.typeface.shortened(word, canvas.picture.width - 2 * canvas.pad)
            tiles.append(_with_lines(canvas.finish(), [word], canvas.typeface, canvas.pad))
        return contact_sheet(tiles, COLUMNS)

    def save_attention(
        self,
        path: str | os.PathLike[str],
        image: ImageInput | None = None,
        *,
        font: FontPath | None = None,
    ) -> None:
        """Writes what ``draw_attention`` draws.

        Raises:
            ValueError: as of ``draw_attention``.
        """
        strip = self.draw_attention(image, font=font)
        with replacing(Path(path)) as temporary:
            strip.save(temporary)

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``caption``, ``log_prob``; ``words``, each with its ``log_prob``; and
        ``alternatives``, each as ``caption`` and ``log_prob``. None for a number that is NaN."""
        said = self.log_probs.tolist()
        found: dict[str, Any] = {
            "file": self.source,
            "caption": self.text,
            "log_prob": round(self.log_prob, 4),
            "words": [
                {"word": word, "log_prob": round(log_prob, 4)}
                for word, log_prob in zip(self.words, said, strict=False)
            ],
            "alternatives": [
                {"caption": text, "log_prob": round(log_prob, 4)}
                for text, log_prob in self.alternatives
            ],
        }
        return plain(found)

    def _lines(self, canvas: Canvas) -> list[str]:
        """The sentence, broken so that it fits under the picture."""
        room = canvas.picture.width - 2 * canvas.pad
        lines = [""]
        for word in self.words:
            longer = f"{lines[-1]} {word}".strip()
            if canvas.typeface.length(longer) <= room:
                lines[-1] = longer
            else:
                lines.append(canvas.typeface.shortened(word, room))
        return [line for line in lines if line] or [""]


def _with_lines(
    picture: Image.Image, lines: list[str], typeface: Typeface, pad: int
) -> Image.Image:
    """A picture with lines of text on white under it."""
    height = max(typeface.height(line) for line in lines) + pad
    drawn = Image.new("RGB", (picture.width, picture.height + height * len(lines) + pad), "white")
    drawn.paste(picture)
    draw = ImageDraw.Draw(drawn)
    for i, line in enumerate(lines):
        middle = picture.height + pad / 2 + (i + 0.5) * height
        typeface.write(draw, (pad, middle), line, BLACK)
    return drawn
