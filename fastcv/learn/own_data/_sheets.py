"""Sheets of pictures with what is known of them, and with what a model finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fastcv._files import replacing
from fastcv.draw import contact_sheet
from fastcv.draw.typeface import FontPath
from fastcv.learn.own_data._pictures import Annotated
from fastcv.models import Model
from fastcv.results import Drawable

CELL = 384  # pixels: the longer side of a picture on a sheet
COLUMNS = 4
SHOWN = 12
GAP = 8
Truth = Callable[[Any, Any, Sequence[str]], Drawable]
"""A target as a result, of a picture, its target and the classes."""


def save_targets(
    path: Path,
    items: Sequence[tuple[Any, Any]],
    truth: Truth,
    classes: Sequence[str],
    font: FontPath | None,
) -> None:
    """Pictures with their targets, in rows.

    Args:
        path: of the sheet.
        items: pictures and targets.
        truth: makes a target a result.
        classes: names by label.
        font: of the names.
    """
    cells = [_cell(truth(image, target, classes).draw(image, font=font)) for image, target in items]
    _save(path, cells, COLUMNS)


def save_predictions(
    path: Path,
    model: Model,
    val: Annotated,
    options: dict[str, Any],
    truth: Truth,
    font: FontPath | None,
) -> None:
    """Pictures in pairs: with the target on the left, with the prediction on the right.

    Args:
        path: of the sheet.
        model: predicts.
        val: pictures that validate; those that are shown lie evenly among them.
        options: of ``predict``; those that the model does not take are left out.
        truth: makes a target a result.
        font: of the names.
    """
    options = {k: v for k, v in options.items() if k in model.predict_options()}
    n = min(SHOWN, len(val))
    pairs = []
    for index in [int((i + 0.5) * len(val) / n) for i in range(n)]:
        image, target = val.data[index]
        (found,) = model.predict(image, **options)
        known = truth(image, target, model.classes)
        pair = [_cell(result.draw(image, font=font)) for result in (known, found)]
        pairs.append(contact_sheet(pair, 2, gap=0))
    _save(path, pairs, COLUMNS // 2)


def _save(path: Path, pictures: Sequence[Image.Image], columns: int) -> None:
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
