"""Pictures under the sentences that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from PIL import Image, ImageDraw

from fastcv.draw.contact_sheet import contact_sheet
from fastcv.draw.typeface import FontPath, Typeface

SIZE = 12  # pixels of the letters
MIN_WIDTH = 240  # pixels, so that a sentence has room over a single picture


def draw_texts(
    pictures: Sequence[Image.Image],
    texts: Sequence[str],
    gap: int,
    font: FontPath | None = None,
) -> Image.Image:
    """A row of pictures for each sentence, which stands over it; one that is too long is cut.

    Args:
        pictures: of one size.
        texts: of each picture; neighbours with the same one share a row.
        gap: white pixels around each picture.
        font: of the sentences; None: Pillow's own.

    Raises:
        ValueError: there is no picture, or ``font`` is no font file.

    Example:
        >>> from PIL import Image
        >>> from fastcv.draw.texts import draw_texts
        >>> pictures = [Image.new("RGB", (30, 20))] * 3
        >>> draw_texts(pictures, ["a cat", "a cat", "a dog"], gap=2).size
        (240, 80)
    """
    if not pictures:
        raise ValueError("pictures must have at least one, got none")
    typeface = Typeface(SIZE, font)
    rows = [
        (text, contact_sheet([picture for picture, _ in pairs], len(pictures), gap))
        for text, pairs in groupby(zip(pictures, texts, strict=True), key=lambda pair: pair[1])
    ]
    width = max(MIN_WIDTH, *(row.width for _, row in rows))
    # No letter is narrower than a pixel; so a long text costs no more.
    shown = [" ".join(text.split())[:width] for text, _ in rows]
    lines = [typeface.shortened(text, width - 2 * gap) for text in shown]
    height = max(map(typeface.height, lines)) + gap
    sheet = Image.new("RGB", (width, sum(height + row.height for _, row in rows)), "white")
    draw, y = ImageDraw.Draw(sheet), 0
    for line, (_, row) in zip(lines, rows, strict=True):
        typeface.write(draw, (gap, y + height / 2), line, (0, 0, 0))
        sheet.paste(row, (0, y + height))
        y += height + row.height
    return sheet
