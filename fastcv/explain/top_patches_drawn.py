"""The patches of ``top_patches``, cut out and put side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from fastcv.draw.contact_sheet import contact_sheet
from fastcv.explain._inputs import pictures_of
from fastcv.explain.receptive_field import ReceptiveField
from fastcv.explain.saliency import deconvnet as deconvnet_of
from fastcv.results import Gallery
from fastcv.results.attribution import mid_grey

if TYPE_CHECKING:
    from fastcv.explain.top_patches import TopPatches

OUTSIDE = (110, 50, 130)  # purple: the padding around a picture
TILE = 64  # pixels of a patch's longer side, about
GAP = 2


def patches_gallery(
    found: TopPatches,
    layer: str,
    channels: Sequence[int],
    deconvnet: bool,
    force: bool,
    columns: int,
) -> Gallery:
    """A picture for each channel: its patches in a block."""
    patches, blocks = found[layer], []
    for channel in channels:
        batch = found.pictures.batch(found.model, patches.pictures[channel].tolist())
        if deconvnet:
            targets = [channel] * len(batch)
            back = deconvnet_of(found.model, batch, targets, layer=layer, force=force)
            assert back.values is not None
            levels = [mid_grey(values) for values in back.values]
        else:
            levels = [_levels(pixels) for pixels in pictures_of(found.model, batch)]
        tiles = [
            _enlarged(cut(pixels, patches.field, place))
            for pixels, place in zip(levels, patches.places[channel].tolist(), strict=True)
        ]
        blocks.append(contact_sheet(tiles, math.ceil(math.sqrt(len(tiles))), GAP))
    return Gallery(blocks, [f"channel {channel}" for channel in channels], columns, layer)


def cut(
    levels: npt.NDArray[np.uint8], field: ReceptiveField, place: Sequence[int]
) -> npt.NDArray[np.uint8]:
    """What a place sees of a picture ``[H, W, 3]``, as large as the field, its outside purple.

    Along an axis where the field is larger than the picture, all of the picture.
    """
    x1, y1, x2, y2 = field.window(*place)
    height, width = levels.shape[:2]
    if x2 - x1 > width:
        x1, x2 = 0, width
    if y2 - y1 > height:
        y1, y2 = 0, height
    patch = np.empty((y2 - y1, x2 - x1, 3), np.uint8)
    patch[:] = OUTSIDE
    top, left, bottom, right = max(y1, 0), max(x1, 0), min(y2, height), min(x2, width)
    patch[top - y1 : bottom - y1, left - x1 : right - x1] = levels[top:bottom, left:right]
    return patch


def _levels(pixels: Tensor) -> npt.NDArray[np.uint8]:
    """``[H, W, 3]`` uint8 of ``[3, H, W]`` in [0, 1]."""
    return (pixels.cpu() * 255).round().byte().permute(1, 2, 0).contiguous().numpy()


def _enlarged(patch: npt.NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(patch)
    scale = max(1, TILE // max(image.size))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
