"""Cropping: a part of each image resized, or the image shifted within its frame."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.augment.targets import Targets, move_targets


def resized_crop(
    images: Tensor, targets: Targets, boxes: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Targets]:
    """A box of each image, resized bilinearly with antialiasing, all at once.

    Rows and columns are resized one after the other, each by a product with a matrix of weights.

    Args:
        images: ``[B, 3, H, W]``.
        targets: None, a tensor, or a dict for each image.
        boxes: ``[B, 4]``, (x1, y1, x2, y2) in whole pixels inside the image.
        size: height and width of the result.

    Example:
        >>> import torch
        >>> from fastcv.augment import resized_crop
        >>> images = torch.arange(4.0).expand(1, 3, 4, 4)
        >>> resized_crop(images, None, torch.tensor([[2, 0, 4, 4]]), (1, 2))[0][0, 0].round()
        tensor([[2., 3.]])
    """
    x1, y1, x2, y2 = boxes.to(images.device, images.dtype).unbind(dim=1)
    rows = _resizing(y1, y2, images.shape[-2], size[0])
    columns = _resizing(x1, x2, images.shape[-1], size[1])
    out = rows[:, None] @ images @ columns[:, None].transpose(2, 3)
    x1, y1, x2, y2 = boxes.cpu().double().unbind(dim=1)
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(images), 1, 1)
    matrices[:, 0, 0], matrices[:, 1, 1] = size[1] / (x2 - x1), size[0] / (y2 - y1)
    matrices[:, 0, 2], matrices[:, 1, 2] = -x1 * matrices[:, 0, 0], -y1 * matrices[:, 1, 1]
    return out, move_targets(targets, matrices, size)


def _resizing(start: Tensor, end: Tensor, old: int, new: int) -> Tensor:
    """Weights ``[B, new, old]`` of the old pixels from ``start`` to ``end`` in the new ones.

    A triangle about each new pixel's centre, as wide as the larger of the two kinds of pixels.
    """
    scale = ((end - start) / new)[:, None, None]
    places = torch.arange(new, device=start.device, dtype=start.dtype)[:, None] + 0.5
    centres = torch.arange(old, device=start.device, dtype=start.dtype) + 0.5
    distance = (centres - (start[:, None, None] + scale * places)).abs()
    inside = (centres > start[:, None, None]) & (centres < end[:, None, None])
    weights = (1 - distance / scale.clamp(min=1)).clamp(min=0) * inside
    return weights / weights.sum(dim=2, keepdim=True)


def shift(
    images: Tensor, targets: Targets, right: Tensor, down: Tensor, *, fill: float = 0.0
) -> tuple[Tensor, Targets]:
    """Move each image by whole pixels within its frame, to the bit.

    Args:
        images: ``[B, 3, H, W]``.
        targets: None, a tensor, or a dict for each image.
        right: pixels to the right ``[B]``; negative: to the left.
        down: pixels down ``[B]``.
        fill: the value of pixels that come in.
    """
    height, width = images.shape[-2:]
    rows, rows_inside = _from(down.to(images.device), height)
    columns, columns_inside = _from(right.to(images.device), width)
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    out = images.movedim(1, -1)[batch, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
    inside = rows_inside[:, None, :, None] & columns_inside[:, None, None, :]
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(images), 1, 1)
    matrices[:, 0, 2], matrices[:, 1, 2] = right.cpu().double(), down.cpu().double()
    moved = move_targets(targets, matrices, (height, width))
    return torch.where(inside, out, out.new_tensor(fill)), moved


def _from(by: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Which pixel comes to each place ``[B, side]``, and whether there is one."""
    places = torch.arange(side, device=by.device) - by[:, None]
    return places.clamp(0, side - 1), (places >= 0) & (places < side)
