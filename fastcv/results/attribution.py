"""Which pixels a model's answer comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from fastcv.draw.canvas import Canvas
from fastcv.draw.contact_sheet import contact_sheet
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput, read_image
from fastcv.results._drawable import Drawable

COLUMNS = 4
# Colours of values 0 to 1, evenly spaced: dark to bright, so that grey prints show them too.
HEAT = ((0, 0, 60), (90, 0, 140), (215, 40, 80), (255, 150, 0), (255, 255, 150))
COLD = (30, 90, 255)  # of values below 0
WARM = (255, 60, 20)
OPACITY = 0.75  # of the strongest heat
DARKEST = 0.15  # of the picture, outside a mask
BOX_LABEL = 7  # whose colour a box has


@dataclass(repr=False, eq=False)
class Attribution(Drawable):
    """A map for each image of a batch: how much each pixel has to do with the target.

    Args:
        maps: ``[B, H, W]`` float32, of the size of the model's input.
        method: what made them, such as ``"grad_cam"``.
        targets: what is explained of each image, in words.
        pictures: ``[B, 3, H, W]`` in [0, 1], what the model saw.
        scores: ``[B]``, the model's score of each target; before the softmax, of a class.
        layer: the layer's name, of a method that has one.
        cells: ``[B, h, w]``, the maps before they were brought to the size of the input.
        values: ``[B, C, H, W]``, what the maps are made of, of a method that has a value for
            each channel of each pixel: its gradient.
        source: the picture's path, if it came from a file.

    Raises:
        ValueError: maps or pictures of another shape.

    Example:
        >>> import torch
        >>> from fastcv.results import Attribution
        >>> maps = torch.zeros(1, 32, 48)
        >>> maps[0, 8:16, 20:30] = 1.0
        >>> found = Attribution(maps, "grad_cam", ("cat",), torch.rand(1, 3, 32, 48))
        >>> found
        Attribution(grad_cam of cat, 32x48)
        >>> found.peaks(), found.boxes()
        ([(20, 8)], tensor([[20., 8., 30., 16.]]))
    """

    maps: Tensor
    method: str
    targets: tuple[str, ...]
    pictures: Tensor
    scores: Tensor | None = None
    layer: str | None = None
    cells: Tensor | None = None
    values: Tensor | None = None
    source: str | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.maps.ndim != 3 or len(self.maps) == 0:
            raise ValueError(f"maps must be [B, H, W], got {list(self.maps.shape)}")
        images, height, width = self.maps.shape
        if len(self.targets) != images:
            raise ValueError(f"targets must be {images}, one for each map, got {len(self.targets)}")
        if self.pictures.shape != (images, 3, height, width):
            raise ValueError(
                f"pictures must be [{images}, 3, {height}, {width}], as the maps, got "
                f"{list(self.pictures.shape)}"
            )
        self.image_size = (height, width)

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, index: int) -> Attribution:
        """The map of one image."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be below {len(self)}, the number of maps, got {index}")
        i = index % len(self)
        kept = {
            name: getattr(self, name)[i : i + 1]
            for name in ("maps", "pictures", "scores", "cells", "values", "targets")
            if getattr(self, name) is not None
        }
        return replace(self, **kept)

    def __repr__(self) -> str:
        height, width = self.maps.shape[1:]
        at = f" at {self.layer}" if self.layer else ""
        count = f"{len(self)} images, " if len(self) > 1 else ""
        return (
            f"{type(self).__name__}({self.method} of {', '.join(self.targets)}{at}, "
            f"{count}{height}x{width})"
        )

    def peaks(self) -> list[tuple[int, int]]:
        """``(x, y)`` of each map's highest pixel."""
        width = self.maps.shape[2]
        places = self.maps.flatten(1).argmax(dim=1).tolist()
        return [(place % width, place // width) for place in places]

    def boxes(self, share: float = 0.2) -> Tensor:
        """A box ``[B, 4]`` around what each map lights up most, as ``boxes_of_maps`` finds it."""
        from fastcv.explain.map_boxes import boxes_of_maps

        return boxes_of_maps(self.maps, share)

    def draw(
        self,
        image: ImageInput | Sequence[ImageInput] | None = None,
        *,
        how: Literal["heat", "mask", "pixels"] = "heat",
        threshold: float = 0.5,
        boxes: bool = False,
        names: bool = True,
        font: FontPath | None = None,
    ) -> Image.Image:
        """The maps on the pictures, one beside the other.

        Args:
            image: other pictures of the maps' size, one for each; None: what the model saw.
            how: ``"heat"``: colours over the picture, brighter where the map is higher; of a map
                with values below 0 these blue and the others red. ``"mask"``: the picture itself
                where the map is above ``threshold``, darkened elsewhere. ``"pixels"``: ``values``
                as colours, 0 in mid-grey.
            threshold: of a mask, as a share of the map's maximum.
            boxes: draw ``boxes()`` too.
            names: write the method and the target below.
            font: of the names, as in ``Detections.draw``.

        Raises:
            ValueError: pictures of another size or number, or ``"pixels"`` without ``values``.
        """
        pictures = self._pictures(image)
        if how == "heat":
            drawn = [heat(p, m) for p, m in zip(pictures, self.maps, strict=True)]
        elif how == "mask":
            drawn = [masked(p, m, threshold) for p, m in zip(pictures, self.maps, strict=True)]
        elif how == "pixels" and self.values is not None:
            drawn = [mid_grey(value) for value in self.values]
        elif how == "pixels":
            raise ValueError(f"how: {self.method} has no values of each pixel to draw")
        else:
            raise ValueError(f"how must be heat, mask or pixels, got {how!r}")
        found = self.boxes() if boxes else None
        tiles = []
        for i, pixels in enumerate(drawn):
            canvas = Canvas(Image.fromarray(pixels), font)
            if found is not None:
                canvas.box(found[i].tolist(), BOX_LABEL)
            if names:
                canvas.legend([(f"{self.method}: {self.targets[i]}", (40, 40, 40))])
            tiles.append(canvas.finish())
        return tiles[0] if len(tiles) == 1 else contact_sheet(tiles, COLUMNS)

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``method``, ``layer``, and ``maps``: of each its target, score, peak, box."""
        scores = [None] * len(self) if self.scores is None else self.scores.tolist()
        rows = zip(self.targets, scores, self.peaks(), self.boxes().tolist(), strict=True)
        return {
            "file": self.source,
            "method": self.method,
            "layer": self.layer,
            "maps": [
                {
                    "target": target,
                    "score": None if score is None else round(score, 4),
                    "peak": list(peak),
                    "box": box,
                }
                for target, score, peak, box in rows
            ],
        }

    def _pictures(
        self, image: ImageInput | Sequence[ImageInput] | None
    ) -> list[npt.NDArray[np.uint8]]:
        height, width = self.maps.shape[1:]
        if image is None:
            pictures = list(self.pictures)
        else:
            several = isinstance(image, (list, tuple)) or getattr(image, "ndim", 0) == 4
            given: Any = image if several else [image]
            pictures = [read_image(one) for one in given]
        if len(pictures) != len(self):
            raise ValueError(f"image must be {len(self)} pictures, got {len(pictures)}")
        for picture in pictures:
            if picture.shape[1:] != (height, width):
                raise ValueError(
                    f"image must be {height}x{width}, the size of the maps, got "
                    f"{picture.shape[1]}x{picture.shape[2]}"
                )
        return [_pixels(picture) for picture in pictures]


def heat(
    picture: npt.NDArray[np.uint8], values: Tensor, *, strongest: float | None = None
) -> npt.NDArray[np.uint8]:
    """A map as colours over a picture.

    Args:
        picture: ``[H, W, 3]`` uint8.
        values: ``[H, W]``.
        strongest: the value of the strongest colour; None: nearly the map's own largest.
    """
    shares = _finite(values)
    signed = bool((shares < 0).any())
    shares = (shares / (strongest or _strongest(shares))).clamp(-1, 1)
    strength = shares.abs()[..., None]
    if signed:
        colour = torch.where(shares[..., None] < 0, torch.tensor(COLD), torch.tensor(WARM)).float()
    else:
        colour = _ramp(shares)
    # Grey under the colours, so that the picture's own are not taken for heat.
    grey = torch.from_numpy(picture).float().mean(dim=2, keepdim=True)
    opacity = OPACITY * (strength if signed else strength.sqrt())
    return (grey * (1 - opacity) + colour * opacity).round().byte().numpy()


def masked(
    picture: npt.NDArray[np.uint8], values: Tensor, threshold: float
) -> npt.NDArray[np.uint8]:
    """A picture, dark where a map is not above ``threshold`` times its maximum."""
    values = _finite(values)
    above = values > threshold * values.max()
    light = torch.where(above, 1.0, DARKEST)[..., None]
    return (torch.from_numpy(picture) * light).round().byte().numpy()


def mid_grey(values: Tensor) -> npt.NDArray[np.uint8]:
    """Values ``[C, H, W]`` as colours ``[H, W, 3]`` uint8: 0 in mid-grey, one scale for all."""
    values = _finite(values)
    if values.shape[0] not in (1, 3):
        values = values.mean(dim=0, keepdim=True)
    shares = (values / _strongest(values)).clamp(-1, 1).expand(3, -1, -1)
    return (127.5 + 127.5 * shares).round().byte().permute(1, 2, 0).numpy()


def _strongest(values: Tensor) -> float:
    """What is drawn strongest: a few pixels far beyond the others would leave the rest faint."""
    magnitudes = values.abs().numpy()
    return float(np.quantile(magnitudes, 0.995)) or float(magnitudes.max()) or 1.0


def _ramp(shares: Tensor) -> Tensor:
    table = torch.tensor(HEAT).float()
    place = shares * (len(table) - 1)
    left = place.floor().long().clamp(max=len(table) - 2)
    part = (place - left)[..., None]
    return table[left] * (1 - part) + table[left + 1] * part


def _finite(values: Tensor) -> Tensor:
    return values.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0)


def _pixels(picture: Tensor) -> npt.NDArray[np.uint8]:
    if picture.is_floating_point():
        picture = (picture.detach().float().clamp(0, 1) * 255).round().byte()
    return picture.permute(1, 2, 0).contiguous().cpu().numpy()
