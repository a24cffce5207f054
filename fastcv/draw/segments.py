"""Segments of a panoptic picture: shades of a class's colour, and stripes where there is none."""

from __future__ import annotations

import colorsys

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastcv.draw.canvas import Canvas, color_of
from fastcv.draw.typeface import Color

VOID = (0, 0, 0)
STRIPE = (200, 200, 200)


def shade_of(label: int, number: int) -> Color:
    """One of a class's shades: its hue, and by ``number`` another brightness and strength.

    Example:
        >>> from fastcv.draw.segments import shade_of
        >>> shade_of(3, 1), shade_of(3, 2)
        ((205, 221, 73), (176, 186, 85))
    """
    hue, _, _ = colorsys.rgb_to_hsv(*(value / 255 for value in color_of(label)))
    # Powers of 1/1.3247, the plastic ratio: they fill the square evenly, neighbours far apart.
    brightness, strength = 0.7548776662 * number % 1.0, 0.5698402910 * number % 1.0
    shade = colorsys.hsv_to_rgb(hue, 0.5 + 0.3 * strength, 0.45 + 0.55 * brightness)
    red, green, blue = (round(255 * value) for value in shade)
    return red, green, blue


def hatch(canvas: Canvas, mask: Tensor) -> None:
    """Slanted stripes, black and light, over the pixels of ``mask``, ``[H, W]`` bool."""
    if not mask.any():
        return
    for dim in (0, 1):
        mask = mask.repeat_interleave(canvas.scale, dim)
    width = 2 * canvas.line
    rows, columns = torch.arange(mask.shape[0])[:, None], torch.arange(mask.shape[1])
    light = (rows + columns) // width % 3 == 0
    stripes = np.where(light[..., None].numpy(), STRIPE, VOID).astype(np.uint8)
    inside = Image.fromarray(mask.numpy().astype(np.uint8) * 190)
    canvas.picture.paste(Image.fromarray(stripes), (0, 0), inside)
