"""Squares about objects, cut out of a picture as crops of one size."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.ops import roi_align

MARGIN = 1.25  # a box's longer side times this is its crop's


def squares_about(boxes: Tensor, factor: float = MARGIN) -> Tensor:
    """Squares about boxes ``[N, 4]``, as long as the longer side times ``factor``.

    Example:
        >>> import torch
        >>> from fastcv.nn.landmarks.crops import squares_about
        >>> squares_about(torch.tensor([[10.0, 20.0, 30.0, 60.0]]))
        tensor([[-5., 15., 45., 65.]])
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    half = (high - low).amax(dim=1, keepdim=True) * (factor / 2)
    middle = (low + high) / 2
    return torch.cat([middle - half, middle + half], dim=1)


def cut_squares(image: Tensor, squares: Tensor, size: int) -> Tensor:
    """Squares of an image as crops ``[N, C, size, size]``; black outside of the image.

    Args:
        image: ``[C, H, W]``.
        squares: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels.
        size: height and width of the crops, in pixels.
    """
    return roi_align(image[None], [squares.to(image)], size, aligned=True)
