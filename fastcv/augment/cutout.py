"""Cutout: a part of each image is covered."""

from __future__ import annotations

import torch
from torch import Tensor


def erase(images: Tensor, boxes: Tensor, fill: float = 0.0) -> Tensor:
    """Cover a box of each image.

    Args:
        images: ``[B, 3, H, W]``.
        boxes: ``[B, 4]``, (x1, y1, x2, y2) in whole pixels.
        fill: the value of the covered pixels.

    Example:
        >>> import torch
        >>> from fastcv.augment import erase
        >>> erase(torch.ones(1, 3, 2, 3), torch.tensor([[1, 0, 3, 1]]))[0, 0]
        tensor([[1., 0., 0.],
                [1., 1., 1.]])
    """
    return torch.where(inside(boxes, images), images.new_tensor(fill), images)


def inside(boxes: Tensor, images: Tensor) -> Tensor:
    """Which pixels are in each image's box, ``[B, 1, H, W]``."""
    x1, y1, x2, y2 = boxes.to(images.device)[:, :, None].unbind(dim=1)
    y = torch.arange(images.shape[-2], device=images.device)
    x = torch.arange(images.shape[-1], device=images.device)
    rows, columns = (y >= y1) & (y < y2), (x >= x1) & (x < x2)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
