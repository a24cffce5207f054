"""The panoptic head: semantic logits and instances compete for each pixel; it has no parameters."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def panoptic_logits(
    semantic: Tensor,
    boxes: Tensor,
    labels: Tensor,
    masks: Tensor,
    *,
    num_stuff: int,
    unknown: bool = True,
) -> Tensor:
    """A logit for each pixel of each stuff class, of each instance, and of the unknown class.

    That of an instance is the sum of its class's semantic logit within its box and of its mask's
    logit, stretched over the box bilinearly; both are 0 outside. That of the unknown class is the
    largest semantic logit of any thing, less the largest of those within boxes: it is high where
    there seems to be a thing that no instance claims.

    A box covers the pixels that it overlaps, at least one where it lies in the map.

    Args:
        semantic: ``[C, H, W]`` logits, those of stuff first.
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels of ``semantic``; may reach beyond it.
        labels: ``[N]`` int64, which of the ``C`` classes, all of them things.
        masks: ``[N, M, M]`` logits on the boxes, each of its box's class.
        num_stuff: how many of the ``C`` classes are stuff.
        unknown: whether there is an unknown class.

    Returns:
        ``[num_stuff + N, H, W]``, with the unknown class, which is the last, one more.

    Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network" (2019), section 3.1 and
        figure 3.

    Example:
        >>> import torch
        >>> from fastcv.nn.panoptic.panoptic_logits import panoptic_logits
        >>> semantic = torch.tensor([1.0, 4.0])[:, None, None].expand(2, 1, 3)  # stuff, thing
        >>> box, label = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([1])
        >>> panoptic_logits(semantic, box, label, torch.ones(1, 2, 2), num_stuff=1)[:, 0]
        tensor([[1., 1., 1.],
                [5., 0., 0.],
                [0., 4., 4.]])
    """
    stuff, things = semantic[:num_stuff], semantic[num_stuff:]
    of_class, of_mask = instance_terms(semantic, boxes, labels, masks)
    parts = [stuff, of_class + of_mask]
    if unknown:
        claimed = of_class.amax(0) if boxes.shape[0] else torch.zeros_like(semantic[0])
        parts.append((things.amax(0) - claimed)[None])
    return torch.cat(parts)


def instance_terms(
    semantic: Tensor, boxes: Tensor, labels: Tensor, masks: Tensor
) -> tuple[Tensor, Tensor]:
    """Of each instance the semantic logits of its class within its box, and its mask's on the map.

    Args:
        semantic, boxes, labels, masks: as of ``panoptic_logits``.

    Returns:
        two of ``[N, H, W]``, 0 outside of the boxes.
    """
    height, width = semantic.shape[-2:]
    if not boxes.shape[0]:
        return semantic.new_zeros(0, height, width), semantic.new_zeros(0, height, width)
    nothing = semantic.new_zeros(height, width)
    of_class, of_mask = [], []
    for window, label, mask in zip(windows(boxes, (height, width)), labels, masks, strict=True):
        if window is None:
            of_class.append(nothing)
            of_mask.append(nothing)
            continue
        rows, columns = window.inside
        around = (columns.start, width - columns.stop, rows.start, height - rows.stop)
        of_class.append(F.pad(semantic[label, rows, columns], around))
        of_mask.append(F.pad(window.stretched(mask), around))
    return torch.stack(of_class), torch.stack(of_mask)


class Window(NamedTuple):
    """The pixels that a box overlaps."""

    top: int
    left: int
    bottom: int
    """The row below the last."""
    right: int
    size: tuple[int, int]
    """Height and width of the map; the window may reach beyond it."""

    @property
    def inside(self) -> tuple[slice, slice]:
        """Rows and columns of the map."""
        height, width = self.size
        return (
            slice(max(self.top, 0), min(self.bottom, height)),
            slice(max(self.left, 0), min(self.right, width)),
        )

    def stretched(self, mask: Tensor) -> Tensor:
        """A mask ``[M, M]`` stretched over the window bilinearly; what lies in the map."""
        size = (self.bottom - self.top, self.right - self.left)
        whole = F.interpolate(mask[None, None], size=size, mode="bilinear", align_corners=False)
        rows, columns = self.inside
        return whole[
            0,
            0,
            rows.start - self.top : rows.stop - self.top,
            columns.start - self.left : columns.stop - self.left,
        ]


def windows(boxes: Tensor, size: tuple[int, int]) -> list[Window | None]:
    """The window of each box in a map of some height and width; None of one that lies outside.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``; one with NaN has no window.
    """
    found: list[Window | None] = []
    for x1, y1, x2, y2 in boxes.tolist():
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            found.append(None)
            continue
        left, top = math.floor(x1), math.floor(y1)
        right, bottom = max(math.ceil(x2), left + 1), max(math.ceil(y2), top + 1)
        window = Window(top, left, bottom, right, size)
        inside = left < size[1] and top < size[0] and right > 0 and bottom > 0
        found.append(window if inside else None)
    return found
