"""Labels of a picture that is too large for one pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fastcv.models._tiles import blend_tiles


def label_tiles(
    scores_of: Callable[[Tensor], Tensor],
    image: Tensor,
    tile: int,
    overlap: int | None,
    *,
    progress: bool = False,
) -> Tensor:
    """The likeliest class of each pixel, by the mean of the tiles that see it.

    Args:
        scores_of: from a part of the image ``[3, h, w]`` to its scores ``[C, h, w]``.
        image: ``[3, H, W]``.
        tile, overlap, progress: as ``blend_tiles`` takes them; its errors too.

    Returns:
        ``[H, W]`` on the CPU, uint8; int32 where there are more than 256 classes.
    """
    labels = torch.empty(0)
    for top, left, scores in blend_tiles(scores_of, image, tile, overlap, progress=progress):
        if not len(labels):
            dtype = torch.uint8 if len(scores) <= 256 else torch.int32
            labels = torch.empty(image.shape[1:], dtype=dtype)
        height, width = scores.shape[1:]
        labels[top : top + height, left : left + width] = scores.argmax(dim=0)
    return labels
