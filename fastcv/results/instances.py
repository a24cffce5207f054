"""Boxes with classes, scores, and a mask each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastcv.draw.canvas import Canvas, color_of
from fastcv.results._rle import encode_rle, outlines
from fastcv.results.detections import Detections


@dataclass(repr=False, eq=False)
class Instances(Detections):
    """Objects in one picture, the surest first: their boxes, and which pixels are theirs.

    Args:
        masks: ``[N, H, W]`` bool, of the picture's size; the others as for ``Detections``.

    Raises:
        ValueError: masks of another shape.

    Example:
        >>> import torch
        >>> from fastcv.results import Instances
        >>> masks = torch.zeros(1, 48, 64, dtype=torch.bool)
        >>> masks[0, 10:20, 10:30] = True
        >>> Instances(
        ...     torch.tensor([[10.0, 10.0, 30.0, 20.0]]), torch.tensor([0.9]), torch.tensor([1]),
        ...     classes=("background", "cat"), image_size=(48, 64), masks=masks,
        ... )
        Instances(1 box in 48x64: 1 cat 0.90)
    """

    masks: Tensor = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = [len(self.boxes), *self.image_size]
        if list(self.masks.shape) != shape or self.masks.dtype != torch.bool:
            raise ValueError(
                f"masks must be bool {shape}, got {self.masks.dtype} {list(self.masks.shape)}"
            )

    def _picked(self, index: Any) -> dict[str, Any]:
        return {"masks": self.masks[index]}

    def _draw_under(self, canvas: Canvas, order: list[int]) -> None:
        """Each mask in its class's or its object's colour, the surest on top."""
        regions = torch.zeros(self.image_size, dtype=torch.int64)
        for i in reversed(order):
            regions[self.masks[i].cpu()] = i + 1
        colors = {i + 1: color_of(number) for i, number in enumerate(self._color_numbers())}
        canvas.regions(regions, colors)

    def to_dict(self) -> dict[str, Any]:
        """As for ``Detections``, and of each ``pixels``, how many its mask has, and ``rle``."""
        found = super().to_dict()
        for row, mask, rle in zip(found["detections"], self.masks, self.rle(), strict=True):
            row["pixels"], row["rle"] = int(mask.sum()), rle
        return found

    def rle(self) -> list[dict[str, Any]]:
        """Each mask in COCO's compressed form, ``{"size": [H, W], "counts": str}``.

        Example:
            >>> import torch
            >>> from fastcv.results import Instances
            >>> masks = torch.zeros(1, 3, 4, dtype=torch.bool)
            >>> masks[0, 1:, 1:3] = True
            >>> found = Instances(
            ...     torch.tensor([[1.0, 1.0, 3.0, 3.0]]), torch.ones(1), torch.tensor([1]),
            ...     classes=("background", "cat"), image_size=(3, 4), masks=masks,
            ... )
            >>> found.rle()
            [{'size': [3, 4], 'counts': '42102'}]
            >>> found.polygons()
            [[[1, 1, 3, 1, 3, 3, 1, 3]]]
        """
        return [encode_rle(mask) for mask in self.masks]

    def polygons(self) -> list[list[list[int]]]:
        """Each mask as COCO's polygons ``[x1, y1, x2, y2, ...]``, along the pixels' edges.

        A part that touches another at a corner alone has a polygon of its own. Holes are filled:
        the form has none. ``rle`` is exact.
        """
        return [outlines(mask) for mask in self.masks]

    def _coco_rows(self) -> list[dict[str, Any]]:
        return [{"segmentation": rle} for rle in self.rle()]
