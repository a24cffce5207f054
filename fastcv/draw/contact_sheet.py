"""Pictures of one size in rows, with gaps between them."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

GAP = 8


def contact_sheet(pictures: Sequence[Image.Image], columns: int, gap: int = GAP) -> Image.Image:
    """Pictures in rows from left to right, on white.

    Args:
        pictures: at least one; the first one's size is every cell's.
        columns: pictures in a row, at most.
        gap: white pixels around each.

    Raises:
        ValueError: there is no picture.

    Example:
        >>> from PIL import Image
        >>> from fastcv.draw import contact_sheet
        >>> contact_sheet([Image.new("RGB", (30, 20))] * 5, columns=3).size
        (122, 64)
    """
    if not pictures:
        raise ValueError("pictures must have at least one, got none")
    width, height = pictures[0].size
    columns = min(len(pictures), columns)
    rows = -(-len(pictures) // columns)
    size = (columns * (width + gap) + gap, rows * (height + gap) + gap)
    sheet = Image.new("RGB", size, "white")
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        sheet.paste(picture, (gap + column * (width + gap), gap + row * (height + gap)))
    return sheet
