"""Heatmaps of points: the targets of training, and how peaks are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_radius(sizes: Tensor, min_overlap: float = 0.3) -> Tensor:
    """How far two corners of a box may move for the box to keep an IoU with what it was.

    There are three cases: both corners move outwards, both inwards, or both the same way. The
    smallest of their limits holds.

    Args:
        sizes: ``[N, 2]``, widths and heights, above 0.
        min_overlap: the IoU, in (0, 1).

    Returns:
        ``[N]``, in the unit of ``sizes``.

    Source: Law and Deng, "CornerNet" (2018), section 3.2 and figure 5.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.heatmaps import gaussian_radius
        >>> gaussian_radius(torch.tensor([[10.0, 10.0], [40.0, 10.0]]), min_overlap=0.7)
        tensor([0.8167, 1.2639])
    """
    t = min_overlap
    half, area = sizes.sum(1), sizes.prod(1)  # half of the perimeter
    same_way = (half - (half**2 - 4 * area * (1 - t) / (1 + t)).sqrt()) / 2
    inwards = (half - (half**2 - 4 * area * (1 - t)).sqrt()) / 4
    outwards = ((half**2 + 4 * area * (1 - t) / t).sqrt() - half) / 4
    return torch.stack([same_way, inwards, outwards]).amin(0)


def splat_gaussians(
    points: Tensor,
    channels: Tensor,
    radii: Tensor,
    shape: tuple[int, int, int],
    diameters_per_sigma: float = 6.0,
) -> Tensor:
    """A heatmap with a Gaussian bump of height 1 around each point; where bumps meet, the higher.

    Args:
        points: ``[N, 2]`` int64, (x, y) of the cells.
        channels: ``[N]`` int64, which channel each point belongs to.
        radii: ``[N]`` int64; a bump is a square of ``2 * radius + 1`` cells, cut off at the map's
            border, of standard deviation ``(2 * radius + 1) / diameters_per_sigma``.
        shape: ``(C, H, W)`` of the heatmap.
        diameters_per_sigma: see ``radii``.

    Returns:
        ``[C, H, W]`` float32, in [0, 1].

    Source: Law and Deng, "CornerNet" (2018), section 3.2.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.heatmaps import splat_gaussians
        >>> one = torch.tensor([1])
        >>> splat_gaussians(torch.tensor([[1, 0]]), one - 1, one, (1, 2, 4))
        tensor([[[0.1353, 1.0000, 0.1353, 0.0000],
                 [0.0183, 0.1353, 0.0183, 0.0000]]])
    """
    height, width = shape[1:]
    sigma = ((2 * radii + 1) / diameters_per_sigma)[:, None]

    def line(length: int, middle: Tensor) -> Tensor:
        distance = torch.arange(length, device=points.device) - middle[:, None]
        bump = torch.exp(-(distance**2) / (2 * sigma**2))
        return bump * (distance.abs() <= radii[:, None])

    bumps = line(height, points[:, 1])[:, :, None] * line(width, points[:, 0])[:, None]
    heatmap = torch.zeros(shape, device=points.device)
    return heatmap.scatter_reduce_(0, channels[:, None, None].expand_as(bumps), bumps, "amax")


class PointTargets(NamedTuple):
    """Where the points of a batch's ``N`` objects lie on the map."""

    heatmap: Tensor
    """``[B, C, H, W]``, 1 at the points' cells and Gaussian around them."""
    image: Tensor
    """``[N]`` int64: of which image each point is."""
    cell: Tensor
    """``[N]`` int64: ``y * W + x``."""
    offset: Tensor
    """``[N, 2]``: from the cell's (x, y) to the point."""


def point_targets(
    points: Sequence[Tensor],
    channels: Sequence[Tensor],
    radii: Sequence[Tensor],
    shape: tuple[int, int, int],
    diameters_per_sigma: float = 6.0,
) -> PointTargets:
    """The heatmaps, cells and offsets of the points of each image.

    Args:
        points: for each image ``[n, 2]``, (x, y) in cells; those beyond the map go to its border.
        channels: for each image ``[n]`` int64.
        radii: for each image ``[n]``, of the bumps; they are rounded down.
        shape: ``(C, H, W)`` of the heatmap.
        diameters_per_sigma: as in ``splat_gaussians``.
    """
    height, width = shape[1:]
    heatmaps, images, cells, offsets = [], [], [], []
    for i, (where, channel, radius) in enumerate(zip(points, channels, radii, strict=True)):
        limit = torch.tensor([width - 1, height - 1], device=where.device)
        xy = where.floor().long().clamp(min=0).minimum(limit)
        heatmaps.append(splat_gaussians(xy, channel, radius.long(), shape, diameters_per_sigma))
        images.append(torch.full_like(channel, i))
        cells.append(xy[:, 1] * width + xy[:, 0])
        offsets.append(where - xy)
    return PointTargets(
        torch.stack(heatmaps), torch.cat(images), torch.cat(cells), torch.cat(offsets)
    )


def at_cells(maps: Tensor, image: Tensor, cell: Tensor) -> Tensor:
    """The channels of ``maps`` ``[B, C, H, W]`` at cells ``y * W + x``: ``[..., C]``.

    Args:
        maps: the maps.
        image: int64, of a shape that broadcasts with that of ``cell``.
        cell: int64.
    """
    return maps.flatten(2)[image, :, cell]


class Peaks(NamedTuple):
    """The ``K`` highest peaks of each heatmap, by falling score."""

    scores: Tensor
    """``[B, K]``."""
    channels: Tensor
    """``[B, K]`` int64."""
    cells: Tensor
    """``[B, K]`` int64: ``y * W + x``."""
    points: Tensor
    """``[B, K, 2]``: (x, y) of the cells, in the heatmap's dtype."""

    def read(self, maps: Tensor) -> Tensor:
        """The channels of ``maps`` ``[B, C, H, W]`` at the peaks: ``[B, K, C]``."""
        image = torch.arange(len(self.cells), device=self.cells.device)[:, None]
        return at_cells(maps, image, self.cells)


def find_peaks(heatmap: Tensor, k: int) -> Peaks:
    """Cells that are the largest of their 3x3 neighbourhood, the ``k`` highest of all channels.

    Comparing with a 3x3 max pooling does what non-maximum suppression does for boxes. A channel
    gives at most ``k``, so the search is of ``C * k`` values.

    Args:
        heatmap: ``[B, C, H, W]``, not negative.
        k: how many; fewer where the heatmap has fewer cells.

    Source: Zhou et al., "Objects as Points" (2019), section 4.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.heatmaps import find_peaks
        >>> heat = torch.tensor([[[[0.1, 0.9, 0.8, 0.1, 0.3]]]])
        >>> peaks = find_peaks(heat, k=2)
        >>> peaks.scores, peaks.points
        (tensor([[0.9000, 0.3000]]), tensor([[[1., 0.], [4., 0.]]]))
    """
    width = heatmap.shape[3]
    highest = F.max_pool2d(heatmap, 3, stride=1, padding=1)
    peaks = (heatmap * (highest == heatmap)).flatten(2)
    scores, cells = peaks.topk(min(k, peaks.shape[2]), dim=2)
    best = min(k, scores[0].numel())
    top, order = scores.flatten(1).topk(best, dim=1)
    channels = order // scores.shape[2]
    cells = cells.flatten(1).gather(1, order)
    points = torch.stack([cells % width, cells // width], dim=2)
    return Peaks(top, channels, cells, points.to(heatmap.dtype))
