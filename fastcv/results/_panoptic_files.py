"""COCO's files of panoptic pictures: a PNG of ids, and a JSON of what the ids are."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from fastcv._files import replacing
from fastcv.classes import UNUSED
from fastcv.images import read_ids

if TYPE_CHECKING:
    from fastcv.results.panoptic import Panoptic

MAX_ID = 256**3 - 1
MAX_LABEL = 999_999  # classes have a name for each number up to it


def write_segments(found: Panoptic, path: Path) -> None:
    """A PNG of a result's ids, and a JSON beside it.

    Raises:
        ValueError: a path that does not end in .png, or an id beyond 24 bits.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(f"path must end in .png, which keeps ids exactly, got {path.name!r}")
    height, width = found.image_size
    image = id_image(found.segment_map)
    # Labels that occur may be more than classes.
    number = max([len(found.classes), *(segment.label + 1 for segment in found.segments)])
    names = [found.name_of(label) for label in range(number)]
    content = {
        "images": [{"id": 0, "file_name": path.name, "height": height, "width": width}],
        "annotations": [
            {"image_id": 0, "file_name": path.name, "segments_info": segments_info(found)}
        ],
        "categories": categories(names, found.things),
    }
    with replacing(path) as temporary:
        image.save(temporary)
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(content), "utf-8")


def read_segments(
    path: Path,
) -> tuple[Tensor, list[dict[str, Any]], tuple[str, ...], tuple[int, ...]]:
    """What ``write_segments`` wrote: ids ``[H, W]``, COCO's rows of them, classes and things.

    Raises:
        FileNotFoundError: no PNG, or no JSON beside it.
        ValueError: a PNG that is not RGB, or a JSON that lacks something.
    """
    ids, beside = read_ids(path), path.with_suffix(".json")
    if not beside.is_file():
        raise FileNotFoundError(f"there is no {beside}, which says what {path.name}'s ids are")
    try:
        content = json.loads(beside.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{beside} is not JSON: {error}") from error
    content = checked_panoptic(content, beside)
    rows = [row for row in content["annotations"] if row["file_name"] == path.name]
    if len(rows) != 1:
        raise ValueError(f"{beside} must have one annotation of {path.name}, it has {len(rows)}")
    return ids, rows[0]["segments_info"], *classes_and_things(content["categories"])


def id_image(segment_map: Tensor) -> Image.Image:
    """Ids ``[H, W]`` as RGB: id = R + 256 G + 65536 B.

    Raises:
        ValueError: an id beyond 24 bits.
    """
    max_id = int(segment_map.max())
    if max_id > MAX_ID:
        raise ValueError(f"ids must be {MAX_ID} or less for a PNG of 24 bits, got {max_id}")
    ids = np.ascontiguousarray(segment_map.cpu().numpy().astype("<u4"))
    channels = ids.view(np.uint8).reshape(*ids.shape, 4)
    return Image.fromarray(np.ascontiguousarray(channels[..., :3]))


def segments_info(found: Panoptic) -> list[dict[str, Any]]:
    """COCO's rows: id, category_id, area, bbox as xywh, iscrowd; and a score that is a number."""
    rows = []
    for segment, (x1, y1, x2, y2) in zip(found.segments, found.boxes().tolist(), strict=True):
        row: dict[str, Any] = {
            "id": segment.id,
            "category_id": segment.label,
            "area": segment.area,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "iscrowd": int(segment.is_crowd),
        }
        if segment.score is not None and math.isfinite(segment.score):  # else it is no JSON
            row["score"] = segment.score
        rows.append(row)
    return rows


def categories(classes: Sequence[str], things: Collection[int]) -> list[dict[str, Any]]:
    """COCO's rows: id, which is the label, name, isthing."""
    return [
        {"id": label, "name": name, "isthing": int(label in things)}
        for label, name in enumerate(classes)
        if name != UNUSED
    ]


def classes_and_things(
    categories: Sequence[dict[str, Any]],
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names by label, ``"(unused)"`` where there is none, and the labels that are things."""
    names = {row["id"]: str(row["name"]) for row in categories}
    things = sorted(row["id"] for row in categories if row.get("isthing"))
    classes = tuple(names.get(label, UNUSED) for label in range(max(names, default=-1) + 1))
    return classes, tuple(things)


def checked_panoptic(
    content: Any, where: object, *, images: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """A JSON's content, with what is read of it in place.

    Args:
        content: of the JSON.
        where: its name, for error sentences.
        images: whether images, and annotations' ids of them, are read too.

    Raises:
        ValueError: what is missing or of another kind, and where.
    """
    needed: dict[str, dict[str, type]] = {
        "annotations": {"file_name": str, "segments_info": list},
        "categories": {"id": int, "name": str},
    }
    if images:
        needed["annotations"]["image_id"] = int
        needed["images"] = {"id": int, "file_name": str}
    for key, kinds in needed.items():
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f'{where} must have a list of objects "{key}"')
        for number, row in enumerate(rows):
            _check(row, kinds, f"{where}: row {number} of {key}")
    for row in content["categories"]:
        if not 0 <= row["id"] <= MAX_LABEL:
            raise ValueError(
                f"{where}: category ids must be 0 to {MAX_LABEL}, for they are the labels, got "
                f"{row['id']}"
            )
    for annotation in content["annotations"]:
        for number, row in enumerate(annotation["segments_info"]):
            place = f"{where}: segment {number} of {annotation['file_name']}"
            if not isinstance(row, dict):
                raise ValueError(f"{place} must be an object, got {row!r}")
            _check(row, {"id": int, "category_id": int}, place)
    checked: dict[str, list[dict[str, Any]]] = content
    return checked


def _check(row: dict[str, Any], needed: dict[str, type], where: str) -> None:
    for key, kind in needed.items():
        if not isinstance(row.get(key), kind):
            raise ValueError(f'{where} must have "{key}" as {kind.__name__}, got {row.get(key)!r}')
