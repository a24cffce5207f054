"""Segmentations in COCO's forms, polygons and RLE: checked when read, drawn when asked for."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import torch
from torch import Tensor

from fastcv._extras import need

FAR = 1_000_000  # pixels: pycocotools takes memory for each pixel of an outline, and crashes


def checked(segmentation: Any, size: tuple[int, int] | None) -> Any:
    """What ``draw`` takes: RLE, or the polygons that have an area.

    Args:
        segmentation: as the JSON has it: polygons, a single one without its list, or RLE.
        size: height and width of the image, where they are known.

    Raises:
        ValueError: it is none of those, is empty, or is RLE of another size.
    """
    if isinstance(segmentation, list):
        return _polygons(segmentation)
    if not isinstance(segmentation, dict):
        raise ValueError(f"it is {segmentation!r}")
    counts, own = segmentation.get("counts"), segmentation.get("size")
    if not _numbers(own) or len(own) != 2 or (size and tuple(own) != size):
        raise ValueError(f"its size is {own}")
    if isinstance(counts, list):
        if not _numbers(counts) or min(counts, default=0) < 0 or sum(counts) != own[0] * own[1]:
            raise ValueError("its counts must be the lengths of runs that fill its size")
    else:
        draw(segmentation, *own)
    return segmentation


def draw(segmentation: Any, height: int, width: int) -> Tensor:
    """A mask ``[height, width]`` bool."""
    rle = need("pycocotools.mask", extra="data")
    if isinstance(segmentation, list):
        segmentation = rle.merge(rle.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        segmentation = rle.frPyObjects(segmentation, height, width)
    return torch.from_numpy(rle.decode(segmentation)).bool()


def _polygons(segmentation: list[Any]) -> list[list[float]]:
    if not segmentation:
        raise ValueError("it is empty")
    polygons = [segmentation] if _numbers(segmentation) else segmentation
    for polygon in polygons:
        if not _numbers(polygon) or len(polygon) % 2:
            raise ValueError("a polygon must be a list of numbers, two for each point")
        if polygon and max(-min(polygon), max(polygon)) > FAR:
            raise ValueError(f"a polygon has a point beyond {FAR:,} pixels")
    # Two points have no area. pycocotools would take four numbers for a box.
    return [polygon for polygon in polygons if len(polygon) >= 6]


def _numbers(values: Any) -> TypeGuard[list[Any]]:
    # Fast, for a file has millions of them.
    return (
        isinstance(values, list)
        and set(map(type, values)) <= {int, float}
        and math.isfinite(sum(values))
    )
