"""Boxes around what a map lights up: objects found by a model that was only told classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.explain._checks import check_tensor


def boxes_of_maps(maps: Tensor, share: float = 0.2) -> Tensor:
    """The box of each map's largest connected component above a share of its maximum.

    Args:
        maps: ``[B, H, W]``.
        share: of the maximum, from 0 to 1.

    Returns:
        ``[B, 4]`` float32 as ``(x1, y1, x2, y2)``, half-open, in pixels of the map; zeros where
        nothing is above 0. Pixels that touch at a corner are connected; of two components of one
        size the upper one is taken.

    Raises:
        TypeError: maps that are no tensor.
        ValueError: maps of another shape, or a share beyond [0, 1].

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization" (2016), section
        3.2.

    Example:
        >>> import torch
        >>> from fastcv.explain import boxes_of_maps
        >>> maps = torch.zeros(1, 6, 8)
        >>> maps[0, 1, 1], maps[0, 3:5, 4:7] = 2.0, 1.0  # one high pixel, and six of half of it
        >>> boxes_of_maps(maps)
        tensor([[4., 3., 7., 5.]])
    """
    check_tensor("maps", maps)
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(f"maps must be [B, H, W], got {list(maps.shape)}")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be from 0 to 1, got {share}")
    maps = maps.detach().float()
    highest = maps.flatten(1).amax(dim=1)[:, None, None]
    above = (maps > share * highest) & (maps > 0)
    components = connected_components(above)
    return torch.stack([_largest(component) for component in components])


def connected_components(masks: Tensor) -> Tensor:
    """Numbers the components of masks ``[B, H, W]`` bool: ``[B, H, W]`` int64, 0 where there is
    none; pixels that touch, also at a corner, have the same number.
    """
    height, width = masks.shape[1:]
    pixels = height * width
    # Every pixel begins with its own number, the upper left one the highest, and takes the
    # highest of its neighbours'. Then it takes what the pixel of that number has come to, so that
    # the steps are few also on a long path.
    own = torch.arange(pixels, 0, -1, device=masks.device).view(1, height, width)
    labels = torch.where(masks, own, 0)
    while True:
        # Exact in float64 up to 2**53 pixels.
        spread = F.max_pool2d(labels.double()[:, None], 3, stride=1, padding=1)[:, 0].long()
        spread = torch.where(masks, spread, 0).flatten(1)
        further = spread.gather(1, (pixels - spread).clamp(max=pixels - 1))
        spread = torch.where(masks.flatten(1), further, 0).view_as(labels)
        if torch.equal(spread, labels):
            return labels
        labels = spread


def _largest(components: Tensor) -> Tensor:
    counts = components.flatten().bincount()
    counts[0] = 0
    if not bool(counts.any()):
        return torch.zeros(4, device=components.device)
    # Of one size the highest number, which is the upper one's.
    largest = len(counts) - 1 - int(counts.flip(0).argmax())
    rows, columns = (components == largest).nonzero().unbind(1)
    ends = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return ends.float()
