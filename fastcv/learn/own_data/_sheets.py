"""Sheets of pictures with what is known of them, and with what a model finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fastcv._files import replacing
from fastcv.draw import contact_sheet
from fastcv.results import Drawable

CELL = 384  # pixels: the longer side of a picture on a sheet
COLUMNS = 4
SHOWN = 12
GAP = 8


def save_targets(path: Path, items: Sequence[tuple[Any, Drawable]]) -> None:
    """Pictures with their targets, in rows.

    Args:
        path: of the sheet.
        items: pictures and targets as results.
    """
    save_sheet(path, [_cell(known.draw(image)) for image, known in items[:SHOWN]], COLUMNS)


def save_predictions(path: Path, items: Sequence[tuple[Any, Drawable, Drawable]]) -> None:
    """Pictures in pairs: with the target on the left, with the prediction on the right.

    Args:
        path: of the sheet.
        items: pictures, targets as results, and predictions.
    """
    pairs = []
    for image, known, found in items[:SHOWN]:
        pair = [_cell(result.draw(image)) for result in (known, found)]
        pairs.append(contact_sheet(pair, 2, gap=0))
    save_sheet(path, pairs, COLUMNS // 2)


def save_sheet(path: Path, pictures: Sequence[Image.Image], columns: int) -> None:
    with replacing(path) as temporary:
        contact_sheet(pictures, columns, GAP).save(temporary, quality=92)


def _cell(picture: Image.Image) -> Image.Image:
    """The picture in the middle of a white square."""
    scale = CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    cell = Image.new("RGB", (CELL, CELL), "white")
    small = picture.resize(size, Image.Resampling.LANCZOS)
    cell.paste(small, ((CELL - size[0]) // 2, (CELL - size[1]) // 2))
    return cell
