"""Pictures of what a model makes while it learns: one sheet an epoch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from fastcv._files import replacing
from fastcv.draw import contact_sheet

GAP = 2  # white pixels around each picture of a sheet


def write_sheet(samples: Any, path: Path) -> None:
    """Write a PIL image as it is, or a batch of images as one sheet.

    Args:
        samples: a PIL image, or a tensor ``[N, 3, H, W]`` or ``[N, 1, H, W]`` in [0, 1].
        path: of the PNG file.

    Raises:
        TypeError: ``samples`` is neither.
    """
    if isinstance(samples, Tensor) and samples.dim() == 4 and samples.shape[1] in (1, 3):
        samples = _sheet(samples)
    if not isinstance(samples, Image.Image):
        got = (
            f"a tensor {list(samples.shape)}"
            if isinstance(samples, Tensor)
            else type(samples).__name__
        )
        raise TypeError(
            f"samples must return a PIL image or a tensor [N, 3, H, W] or [N, 1, H, W], got {got}"
        )
    with replacing(path) as temporary:
        samples.save(temporary)


def _sheet(images: Tensor) -> Image.Image:
    """Images in rows, in a square as far as their number allows."""
    pixels = (images.detach().float().cpu().clamp(0, 1) * 255).round().byte().expand(-1, 3, -1, -1)
    pictures = [Image.fromarray(picture.permute(1, 2, 0).numpy()) for picture in pixels]
    return contact_sheet(pictures, columns=math.ceil(math.sqrt(len(pictures))), gap=GAP)
