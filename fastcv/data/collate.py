"""Images of different sizes as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def collate(batch: Sequence[tuple[Tensor, Any]]) -> tuple[list[Tensor], list[Any]]:
    """A batch as a list of images and a list of targets, for images of different sizes.

    Args:
        batch: ``(image, target)`` of each item, as a dataset gives them.

    Returns:
        The images and the targets, each in the order of ``batch``.

    Example:
        >>> import torch
        >>> from fastcv.data import collate
        >>> images, targets = collate([(torch.rand(3, 4, 5), 7), (torch.rand(3, 6, 6), 8)])
        >>> [tuple(image.shape) for image in images], targets
        ([(3, 4, 5), (3, 6, 6)], [7, 8])
    """
    return [image for image, _ in batch], [target for _, target in batch]
