"""Boxes with classes, scores, and keypoints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fastcv._json import plain
from fastcv.classes.keypoints import KeypointSchema
from fastcv.draw.canvas import Canvas
from fastcv.draw.skeleton import draw_skeleton
from fastcv.results.detections import Detections


@dataclass(repr=False, eq=False)
class Keypoints(Detections):
    """Objects in one picture, the surest first: their boxes, and their keypoints.

    Args:
        keypoints: ``[N, K, 3]``: x and y in pixels of the picture, and a visibility; 0 is not
            there.
        keypoint_scores: ``[N, K]``, greater is surer; the scale is the model's.
        schema: names, edges and sigmas of the K; the other arguments as for ``Detections``.

    Raises:
        ValueError: keypoints or scores of another shape.

    Example:
        >>> import torch
        >>> from fastcv.classes import KeypointSchema
        >>> from fastcv.results import Keypoints
        >>> found = Keypoints(
        ...     torch.tensor([[10.0, 10.0, 30.0, 20.0]]), torch.tensor([0.9]), torch.tensor([1]),
        ...     classes=("background", "stick"), image_size=(48, 64),
        ...     keypoints=torch.tensor([[[11.0, 15.0, 1.0], [29.0, 14.0, 1.0]]]),
        ...     keypoint_scores=torch.tensor([[7.0, 5.0]]), schema=KeypointSchema(("tip", "end")),
        ... )
        >>> found
        Keypoints(1 box in 48x64: 1 stick 0.90)
        >>> found.point(0, "end")
        (29.0, 14.0)
    """

    keypoints: Tensor = field(kw_only=True)
    keypoint_scores: Tensor = field(kw_only=True)
    schema: KeypointSchema = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = [len(self.boxes), len(self.schema)]
        for name, expected in (("keypoints", [*shape, 3]), ("keypoint_scores", shape)):
            own = list(getattr(self, name).shape)
            if own != expected:
                raise ValueError(
                    f"{name} must be {expected}, {shape[1]} of each box as the schema has, got "
                    f"{own}"
                )

    def _picked(self, index: Any) -> dict[str, Any]:
        return {
            "keypoints": self.keypoints[index],
            "keypoint_scores": self.keypoint_scores[index],
        }

    def point(self, index: int, name: str) -> tuple[float, float]:
        """Where a keypoint of an object is, as (x, y) in pixels.

        Args:
            index: of the object.
            name: of the keypoint.

        Raises:
            ValueError: the schema has no such name.
        """
        if name not in self.schema.names:
            raise ValueError(f"name must be one of {', '.join(self.schema.names)}, got {name!r}")
        x, y, _ = self.keypoints[index, self.schema.names.index(name)].tolist()
        return x, y

    def _draw_under(self, canvas: Canvas, order: list[int]) -> None:
        """Each object's keypoints and the lines between them, the surest on top."""
        points = self.keypoints.cpu()
        seen = (points[..., 2] > 0) & points.isfinite().all(dim=-1)
        for i in reversed(order):
            places = [
                (x, y) if there else None
                for (x, y), there in zip(points[i, :, :2].tolist(), seen[i].tolist(), strict=True)
            ]
            draw_skeleton(canvas, places, self.schema.edge_indices, int(self.labels[i]))

    def to_dict(self) -> dict[str, Any]:
        """As for ``Detections``, and of each ``keypoints``, by name: x, y, visibility and score."""
        found = super().to_dict()
        values = torch.cat([self.keypoints, self.keypoint_scores[..., None]], dim=-1).tolist()
        for row, points in zip(found["detections"], values, strict=True):
            row["keypoints"] = {
                name: [round(value, 2) for value in point]
                for name, point in zip(self.schema.names, points, strict=True)
            }
        return plain(found)

    def _coco_rows(self) -> list[dict[str, Any]]:
        return [{"keypoints": points.flatten().tolist()} for points in self.keypoints]
