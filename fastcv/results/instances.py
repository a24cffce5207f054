"""Boxes with classes, scores, and a mask each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastcv.draw.canvas import Canvas, color_of
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
        """Each mask in its class's colour, the surest on top."""
        regions = torch.zeros(self.image_size, dtype=torch.int64)
        for i in reversed(order):
            regions[self.masks[i].cpu()] = i + 1
        colors = {i + 1: color_of(label) for i, label in enumerate(self.labels.tolist())}
        canvas.regions(regions, colors)

    def to_dict(self) -> dict[str, Any]:
        """As for ``Detections``, and of each ``pixels``, how many its mask has."""
        found = super().to_dict()
        for row, mask in zip(found["detections"], self.masks, strict=True):
            row["pixels"] = int(mask.sum())
        return found
