"""A picture with a question below it, and the answers as bars."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from fastcv.draw.canvas import Canvas
from fastcv.draw.typeface import FontPath, Typeface

MAX_LINES = 6  # of a question; a longer one is cut


def question_panel(
    picture: Image.Image,
    question: str,
    rows: Sequence[tuple[str, float, int]],
    font: FontPath | None = None,
) -> Image.Image:
    """A picture, a question in as many lines as it needs, and bars.

    Args:
        picture: RGB; a tiny one is enlarged by a whole factor.
        question: any text.
        rows: ``(answer, share of 1, label)``, a bar each.
        font: of the texts, as of ``Canvas``.

    Raises:
        ValueError: ``font`` is no font file.
    """
    top = Canvas(picture, font)
    width, height = top.picture.size
    lines = wrapped(question, top.typeface, width - 2 * top.pad)
    line = top.typeface.height("".join(lines)) + top.pad
    bar = max([top.typeface.height(name) for name, _, _ in rows], default=0) + 2 * top.pad
    text_height, bars_height = line * len(lines) + 2 * top.pad, bar * len(rows) + top.pad
    sheet = Image.new("RGB", (width, height + text_height + bars_height), "white")
    sheet.paste(top.picture, (0, 0))
    below = Canvas(sheet, font)
    below.typeface, below.pad = top.typeface, top.pad  # of the picture alone, as lines were cut
    for i, text in enumerate(lines):
        at = (top.pad, height + top.pad + (i + 0.5) * line)
        top.typeface.write(below.draw, at, text, (0, 0, 0))
    below.bars(list(rows))
    return below.finish()


def wrapped(text: str, typeface: Typeface, room: float) -> list[str]:
    """A text in lines that are no wider than ``room`` pixels, cut between words where there are
    any, and at most ``MAX_LINES`` of them."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if typeface.length(longer) <= room:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for character in word:  # a word may be wider than the picture
            if lines[-1] and typeface.length(lines[-1] + character) > room:
                lines.append("")
            lines[-1] += character
            if len(lines) > MAX_LINES:
                break
        if len(lines) > MAX_LINES:
            break
    if len(lines) > MAX_LINES:
        lines = lines[:MAX_LINES]
        lines[-1] = lines[-1][:-1] + "…"
    return lines
