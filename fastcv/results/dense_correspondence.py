"""Boxes with classes, scores, and for each pixel of a box where on a surface it lies."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fastcv._files import replacing
from fastcv.draw.canvas import FAR, Canvas
from fastcv.draw.surface import draw_surface
from fastcv.images import ImageInput, read_image
from fastcv.results.detections import Detections


def window_of(box: Sequence[float], image_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels that a box touches; empty of a box that is NaN.

    Example:
        >>> from fastcv.results.dense_correspondence import window_of
        >>> window_of([1.5, -3.0, 4.0, 2.2], (10, 20))
        (1, 0, 4, 3)
    """
    if any(map(math.isnan, box)):
        return 0, 0, 0, 0
    height, width = image_size
    x1, y1, x2, y2 = (min(max(value, -FAR), FAR) for value in box)
    left, top = (min(max(math.floor(low), 0), end) for low, end in ((x1, width), (y1, height)))
    return (
        left,
        top,
        min(max(math.ceil(x2), left), width),
        min(max(math.ceil(y2), top), height),
    )


@dataclass(repr=False, eq=False)
class DenseCorrespondence(Detections):
    """Objects in one picture, the surest first: their boxes, and where their pixels lie on them.

    A surface, such as a person's skin, is cut into charts. A place on it is the number I of its
    chart, from 1, and U and V in there, from 0 to 1.

    Args:
        surfaces: for each box ``[3, h, w]`` floating, I, U and V of the pixels that it touches; I
            is 0 where there is no object. Boxes are cut at the picture's edge for that.
        charts: of the surface; the other arguments as for ``Detections``.

    Raises:
        ValueError: not one surface for each box, or one of another shape.

    Example:
        >>> import torch
        >>> from fastcv.results import DenseCorrespondence
        >>> surface = torch.zeros(3, 2, 4)
        >>> surface[:, :, 1:] = torch.tensor([2.0, 0.5, 0.25])[:, None, None]
        >>> found = DenseCorrespondence(
        ...     torch.tensor([[1.0, 1.0, 5.0, 3.0]]), torch.tensor([0.9]), torch.tensor([1]),
        ...     classes=("background", "person"), image_size=(4, 6),
        ...     surfaces=(surface,), charts=2,
        ... )
        >>> found
        DenseCorrespondence(1 box in 4x6: 1 person 0.90)
        >>> found.iuv()[0]
        tensor([[0., 0., 0., 0., 0., 0.],
                [0., 0., 2., 2., 2., 0.],
                [0., 0., 2., 2., 2., 0.],
                [0., 0., 0., 0., 0., 0.]])
        >>> found.to_dict()["detections"][0]["pixels"]
        {'2': 6}
    """

    surfaces: tuple[Tensor, ...] = field(kw_only=True)
    charts: int = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.surfaces) != len(self):
            raise ValueError(
                f"surfaces must be {len(self)}, one for each box, got {len(self.surfaces)}"
            )
        for i, (surface, window) in enumerate(zip(self.surfaces, self._windows(), strict=True)):
            left, top, right, bottom = window
            shape = [3, bottom - top, right - left]
            if list(surface.shape) != shape or not surface.is_floating_point():
                raise ValueError(
                    f"surface {i} must be floating {shape}, the pixels that its box touches, got "
                    f"{surface.dtype} {list(surface.shape)}"
                )

    def _windows(self) -> list[tuple[int, int, int, int]]:
        return [window_of(box, self.image_size) for box in self.boxes.tolist()]

    def _picked(self, index: Any) -> dict[str, Any]:
        chosen = torch.arange(len(self), device=self.boxes.device)[index].tolist()
        return {"surfaces": tuple(self.surfaces[i] for i in chosen)}

    def to(self, device: str | torch.device) -> DenseCorrespondence:
        """The same with its tensors on ``device``; ``predict`` leaves them on the model's."""
        moved = super().to(device)
        moved.surfaces = tuple(surface.to(device) for surface in self.surfaces)
        return moved

    def iuv(self, index: int | None = None) -> Tensor:
        """The whole picture's I, U and V, ``[3, H, W]`` float32; 0 where there is no object.

        Args:
            index: of an object; None: all of them, the surest on top.

        Raises:
            IndexError: there is no such object.
        """
        chosen = self if index is None else self[index]
        whole = torch.zeros(3, *self.image_size, device=self.boxes.device)
        windows = chosen._windows()
        for i in chosen.scores.argsort(descending=True, stable=True).flip(0).tolist():
            left, top, right, bottom = windows[i]
            part, surface = whole[:, top:bottom, left:right], chosen.surfaces[i].float()
            part.copy_(torch.where(surface[0] > 0, surface, part))
        return whole

    def at(self, points: Tensor) -> Tensor:
        """I, U and V ``[N, P, 3]`` of each object at P points; 0 where a point is not on it.

        Args:
            points: ``[P, 2]``, x and y in pixels of the picture.
        """
        found = self.boxes.new_zeros(len(self), len(points), 3, dtype=torch.float32)
        x, y = points.to(found).floor().long().unbind(dim=1)
        for row, surface, window in zip(found, self.surfaces, self._windows(), strict=True):
            left, top, right, bottom = window
            inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
            row[inside] = surface[:, y[inside] - top, x[inside] - left].T.float()
        return found

    def texture(self, atlas: ImageInput, image: ImageInput | None = None) -> Image.Image:
        """The picture with a texture laid on the objects.

        Args:
            atlas: a texture for each chart, ``[charts, 3, h, w]`` uint8 or floating in [0, 1]: U
                goes from its left edge to the right one, V from the top one to the bottom; or one
                picture, in any form that ``read_image`` takes, for every chart.
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.

        Raises:
            ValueError: an atlas of another shape, no picture, or one of another size.

        Example:
            >>> import torch
            >>> from fastcv.results import DenseCorrespondence
            >>> iuv = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]], [[0.5, 0.5]]])  # U: 0 and 1
            >>> found = DenseCorrespondence(
            ...     torch.tensor([[1.0, 0.0, 3.0, 1.0]]), torch.tensor([0.9]), torch.tensor([1]),
            ...     classes=("background", "person"), image_size=(1, 3), surfaces=(iuv,), charts=1,
            ... )
            >>> red_to_blue = torch.zeros(1, 3, 1, 2)
            >>> red_to_blue[0, 0, 0, 0] = red_to_blue[0, 2, 0, 1] = 1
            >>> picture = found.texture(red_to_blue, torch.zeros(3, 1, 3))
            >>> [picture.getpixel((x, 0)) for x in range(3)]
            [(0, 0, 0), (255, 0, 0), (0, 0, 255)]
        """
        picture = read_image(self._own_picture(image)).float()
        iuv, textures = self.iuv().cpu().nan_to_num(), self._textures(atlas)
        for chart in range(1, self.charts + 1):
            there = iuv[0] == chart
            grid = (2 * iuv[1:, there].T - 1)[None, :, None]
            colors = F.grid_sample(
                textures[chart - 1][None], grid, padding_mode="border", align_corners=True
            )
            picture[:, there] = colors[0, :, :, 0]
        return Image.fromarray(picture.round().byte().permute(1, 2, 0).numpy())

    def _textures(self, atlas: ImageInput) -> Tensor:
        """An atlas as ``[charts, 3, h, w]`` float32 from 0 to 255."""
        if not isinstance(atlas, Tensor) or atlas.ndim != 4:
            atlas = read_image(atlas).expand(self.charts, -1, -1, -1)
        if list(atlas.shape[:2]) != [self.charts, 3] or 0 in atlas.shape:
            raise ValueError(
                f"atlas must be [{self.charts}, 3, h, w], a texture for each chart, or one "
                f"picture, got {list(atlas.shape)}"
            )
        scale = 255 if atlas.is_floating_point() else 1
        return (atlas.detach().float().cpu() * scale).clamp(0, 255)

    def _draw_under(self, canvas: Canvas, order: list[int]) -> None:
        """Each object's charts in their colours, the surest on top."""
        draw_surface(canvas, self.iuv())

    def iuv_image(self) -> Image.Image:
        """``iuv`` as RGB: I, and U and V times 255, as DensePose's files have it.

        Raises:
            ValueError: more than 255 charts.
        """
        if self.charts > 255:
            raise ValueError(f"charts must be 255 or fewer for a picture, got {self.charts}")
        scale = torch.tensor([1.0, 255.0, 255.0])[:, None, None]
        values = (self.iuv().cpu().nan_to_num() * scale).round().byte()
        return Image.fromarray(values.permute(1, 2, 0).numpy())

    def save_iuv(self, path: str | os.PathLike[str]) -> None:
        """``iuv_image`` as a PNG; ``save`` writes the drawing.

        Raises:
            ValueError: a path that does not end in .png, or more than 255 charts.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ValueError(
                f"path must end in .png, which keeps numbers exactly, got {path.name!r}"
            )
        image = self.iuv_image()
        with replacing(path) as temporary:
            image.save(temporary)

    def iuv_png(self) -> bytes:
        """``iuv_image`` as the bytes of a PNG."""
        file = io.BytesIO()
        self.iuv_image().save(file, "PNG")
        return file.getvalue()

    def to_dict(self) -> dict[str, Any]:
        """As for ``Detections``, and of each ``pixels``, how many lie on each chart, by number."""
        found = super().to_dict()
        for row, surface in zip(found["detections"], self.surfaces, strict=True):
            counts = surface[0].long().flatten().bincount().tolist()
            row["pixels"] = {str(i): n for i, n in enumerate(counts) if i and n}
        return found
