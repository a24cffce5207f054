"""Where a detector with attention looked, beside what it found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw
from torch import Tensor

from fastcv._json import plain
from fastcv.draw.contact_sheet import contact_sheet
from fastcv.draw.lit import lit
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput, read_image
from fastcv.results._drawable import Drawable
from fastcv.results.detections import Detections

COLUMNS = 4


@dataclass(repr=False, eq=False)
class AttentionMaps(Drawable):
    """What was looked at for each object that was found, and from points of the picture.

    Args:
        detections: the objects.
        of_objects: ``[N, h, w]``, shares of each object's attention by cell; they add up to 1.
        of_points: ``[P, h, w]`` likewise, of the cell of each point.
        points: ``(x, y)`` in pixels of the picture.

    Example:
        >>> import torch
        >>> from fastcv.results import AttentionMaps, Detections
        >>> found = Detections(
        ...     torch.tensor([[10.0, 20.0, 60.0, 80.0]]), torch.tensor([0.98]), torch.tensor([1]),
        ...     classes=("background", "cat"), image_size=(100, 120),
        ... )
        >>> points = ((9, 9), (70, 70))
        >>> maps = AttentionMaps(found, torch.rand(1, 5, 6), torch.rand(2, 5, 6), points)
        >>> maps
        AttentionMaps(1 object, 2 points, 5x6 cells)
        >>> maps.draw(torch.rand(3, 100, 120)).size  # the object and two points, enlarged
        (1112, 316)
    """

    detections: Detections
    of_objects: Tensor
    of_points: Tensor
    points: tuple[tuple[float, float], ...] = ()
    source: str | None = None

    def __post_init__(self) -> None:
        for name, maps, count in (
            ("of_objects", self.of_objects, len(self.detections)),
            ("of_points", self.of_points, len(self.points)),
        ):
            if maps.ndim != 3 or len(maps) != count:
                raise ValueError(f"{name} must be [{count}, h, w], got {list(maps.shape)}")

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # the detections', not set
        """Names by label."""
        return self.detections.classes

    def __repr__(self) -> str:
        objects, points = len(self.detections), len(self.points)
        height, width = self.of_objects.shape[1:]
        return (
            f"AttentionMaps({objects} object{'s' * (objects != 1)}, "
            f"{points} point{'s' * (points != 1)}, {height}x{width} cells)"
        )

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """A picture for each object, then for each point: bright where the attention is.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: of the names: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.

        Raises:
            ValueError: no picture, one of another size, nothing to draw, or a font that is no font
                file.
        """
        picture = self._picture(image)
        tiles = [
            self.detections[i].draw(read_image(lit(picture, of_object)), font=font)
            for i, of_object in enumerate(self.of_objects)
        ]
        for point, of_point in zip(self.points, self.of_points, strict=True):
            # Drawing no boxes enlarges the picture as much as drawing some does.
            tile = self.detections[[]].draw(read_image(lit(picture, of_point)))
            _mark(tile, point, tile.width / picture.width)
            tiles.append(tile)
        if not tiles:
            raise ValueError("there is nothing to draw: no object was found and no point asked for")
        return contact_sheet(tiles, COLUMNS)

    def to_dict(self) -> dict[str, Any]:
        """``file``; ``objects`` (as ``Detections`` has them) and ``points``, with ``attention``."""
        objects = self.detections.to_dict()["detections"]
        found: dict[str, Any] = {
            "file": self.source,
            "objects": [
                {**row, "attention": _rounded(weights)}
                for row, weights in zip(objects, self.of_objects, strict=True)
            ],
            "points": [
                {"point": list(point), "attention": _rounded(weights)}
                for point, weights in zip(self.points, self.of_points, strict=True)
            ],
        }
        return plain(found)


def _rounded(weights: Tensor) -> list[list[float]]:
    return [[round(w, 6) for w in row] for row in weights.tolist()]


def _mark(tile: Image.Image, point: tuple[float, float], scale: float) -> None:
    draw, radius = ImageDraw.Draw(tile), max(5, round(math.hypot(*tile.size) / 80))
    x, y = (c * scale for c in point)
    for r, color in ((radius + 2, (0, 0, 0)), (radius, (255, 60, 90))):
        draw.ellipse((x - r, y - r, x + r, y + r), outline=color, width=3)
