"""Landmarks as heatmaps, and heatmaps as landmarks."""

from __future__ import annotations

import torch
from torch import Tensor


def encode(
    points: Tensor,
    size: tuple[int, int],
    sigma: float,
    kind: str = "gaussian",
    scaled: bool = True,
) -> Tensor:
    """A heatmap for each point: high at its place, lower the farther a cell is away.

    With d the distance of a cell's centre to the point:

    - ``"gaussian"``: ``exp(-d^2 / (2 sigma^2))``;
    - ``"cauchy"``: ``1 / (1 + d^2 / sigma^2)``; its tails are wider.

    A point need not lie at a cell's centre: a heatmap says where between the cells it is, and
    ``decode`` reads that.

    Args:
        points: ``[..., 2]`` floating point, x and y in cells: whole numbers are cells' centres. A
            point that is NaN or infinite is not there: its heatmap is zero.
        size: height and width of a heatmap.
        sigma: how wide, in cells.
        kind: ``"gaussian"`` or ``"cauchy"``.
        scaled: the highest value is 1. False: a Cauchy bump is ``1 / (sigma^2 + d^2)``, at most
            ``1 / sigma^2``; a Gaussian one is the same.

    Returns:
        ``[..., height, width]`` of the points' dtype.

    Raises:
        RuntimeError: points of another shape or dtype, another kind, or a size or sigma that is
            not above 0.

    Example:
        >>> import torch
        >>> from fastcv.nn.landmarks import encode
        >>> encode(torch.tensor([1.0, 0.0]), (2, 4), sigma=1.0)
        tensor([[0.6065, 1.0000, 0.6065, 0.1353],
                [0.3679, 0.6065, 0.3679, 0.0821]])
        >>> encode(torch.tensor([1.0, 0.0]), (1, 4), sigma=2.0, kind="cauchy")
        tensor([[0.8000, 1.0000, 0.8000, 0.5000]])
    """
    height, width = size
    x, y = points[..., None, None].unbind(-3)
    columns = torch.arange(width, device=points.device) - x
    rows = torch.arange(height, device=points.device)[:, None] - y
    squared = (columns**2 + rows**2) / sigma**2
    heatmaps = torch.exp(-squared / 2) if kind == "gaussian" else 1 / (1 + squared)
    if kind == "cauchy" and not scaled:
        heatmaps = heatmaps / sigma**2
    there = points.isfinite().all(dim=-1)[..., None, None]
    return torch.where(there, heatmaps, 0)


def decode(heatmaps: Tensor, kind: str = "gaussian") -> tuple[Tensor, Tensor]:
    """Where each heatmap is highest, to a fraction of a cell, and how high.

    The highest cell's neighbours tell on which side of its centre the point lies. A Gaussian
    bump's logarithm is a parabola along x and along y, and so is a Cauchy bump's reciprocal. The
    parabola through the highest cell and its two neighbours has its end at the point; at a border
    it goes through the three cells next to it.

    Args:
        heatmaps: ``[..., H, W]`` floating point.
        kind: ``"gaussian"`` or ``"cauchy"``, as for ``encode``; or ``"quarter"``: a quarter of a
            cell towards the higher neighbour, and the left or upper one where they are the same,
            as Newell et al. do.

    Returns:
        points: ``[..., 2]``, x and y in cells, at most half a cell from the highest one's centre.
        scores: ``[...]``, the highest cell's value. Where it is 0 or less the point is that cell.

    Raises:
        RuntimeError: heatmaps of another shape or dtype, or another kind.

    Source: Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (2016), section
        4.1, for quarters; Zhang et al., "Distribution-Aware Coordinate Representation for Human
        Pose Estimation" (2020), section 3.1, for the logarithm.

    Example:
        >>> import torch
        >>> from fastcv.nn.landmarks import decode, encode
        >>> points, scores = decode(encode(torch.tensor([2.3, 0.8]), (4, 6), sigma=1.5))
        >>> points, scores
        (tensor([2.3000, 0.8000]), tensor(0.9715))
    """
    scores, cells = heatmaps.flatten(-2).max(dim=-1)
    width = heatmaps.shape[-1]
    y, x = cells // width, cells % width
    row = heatmaps.gather(-2, y[..., None, None].expand(*y.shape, 1, width)).squeeze(-2)
    column = heatmaps.gather(-1, x[..., None, None].expand(*heatmaps.shape[:-1], 1)).squeeze(-1)
    points = torch.stack([_peak(row, x, kind), _peak(column, y, kind)], dim=-1)
    return points, scores


def _peak(line: Tensor, place: Tensor, kind: str) -> Tensor:
    """Where along lines ``[..., L]``, highest at ``place``, the bump is."""
    last, here = line.shape[-1] - 1, place.to(line.dtype)

    def at(index: Tensor) -> Tensor:
        return line.gather(-1, index.clamp(0, last)[..., None]).squeeze(-1)

    score = at(place)
    if kind == "quarter":
        offset = torch.where(at(place + 1) > at(place - 1), 0.25, -0.25)
        return torch.where(score > 0, here + offset, here)
    middle = place.clamp(1, max(last - 1, 1))
    values = [at(middle + i).maximum(score * 1e-6) for i in (-1, 0, 1)]
    left, centre, right = (v.log() if kind == "gaussian" else -1 / v for v in values)
    bend = left - 2 * centre + right
    vertex = middle + (left - right) / (2 * bend)
    usable = (score > 0) & (bend < 0) & (last > 1)
    return torch.where(usable, vertex.clamp(here - 0.5, here + 0.5), here)
