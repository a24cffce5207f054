"""Boxes of pairs of corners, and whether a centre confirms them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastcv.nn.points.heads import CornerMaps
from fastcv.nn.points.heatmaps import Peaks, find_peaks
from fastcv.nn.precision import full_precision


class Pairs(NamedTuple):
    """Pairs of corners of each image, by falling score."""

    boxes: Tensor
    """``[B, M, 4]`` as ``(x1, y1, x2, y2)``, in cells."""
    scores: Tensor
    """``[B, M]``, -1 for pairs that cannot be boxes."""
    channels: Tensor
    """``[B, M]`` int64."""


def pair_corners(
    top_left: CornerMaps,
    bottom_right: CornerMaps,
    *,
    k: int = 100,
    embedding_threshold: float = 0.5,
    max_pairs: int = 1000,
) -> Pairs:
    """The best boxes whose corners are peaks of the same class with embeddings near each other.

    Args:
        top_left: the predictions for these corners.
        bottom_right: the predictions for those.
        k: peaks of each.
        embedding_threshold: embeddings may not be further apart.
        max_pairs: M, at most.

    Source: Law and Deng, "CornerNet" (2018), section 4.2.
    """
    first, second = peaks_of(top_left.heatmap, k), peaks_of(bottom_right.heatmap, k)
    corners = first.points + first.read(top_left.offset)
    others = second.points + second.read(bottom_right.offset)
    apart = first.read(top_left.embedding) - second.read(bottom_right.embedding).mT
    rows, columns = corners.shape[1], others.shape[1]
    corners = corners[:, :, None].expand(-1, -1, columns, -1)  # [B, k, k, 2]
    others = others[:, None].expand(-1, rows, -1, -1)
    possible = (
        (first.channels[:, :, None] == second.channels[:, None])
        & (apart.abs() <= embedding_threshold)
        & (others > corners).all(dim=3)
        & ((first.scores > 0)[:, :, None] & (second.scores > 0)[:, None])  # 0: no peak
    )
    scores = (first.scores[:, :, None] + second.scores[:, None]) / 2
    scores = torch.where(possible, scores, -1).flatten(1)
    scores, order = scores.topk(min(max_pairs, scores.shape[1]), dim=1)
    boxes = torch.cat([corners, others], dim=3).flatten(1, 2)
    channels = first.channels.gather(1, order // columns)
    return Pairs(boxes.gather(1, order[:, :, None].expand(-1, -1, 4)), scores, channels)


def peaks_of(logits: Tensor, k: int) -> Peaks:
    """The ``k`` highest peaks of a heatmap's sigmoid, at least float32."""
    return find_peaks(full_precision(logits).sigmoid(), k)


def central_region(boxes: Tensor, n: Tensor) -> Tensor:
    """The middle of each box; its sides are ``1 / n`` of the box's.

    Args:
        boxes: ``[..., 4]`` as ``(x1, y1, x2, y2)``.
        n: ``[...]``.

    Source: Duan et al., "CenterNet: Keypoint Triplets" (2019), equation 1.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.corner_pairs import central_region
        >>> central_region(torch.tensor([[0.0, 0, 30, 60]]), torch.tensor([3]))
        tensor([[10., 20., 20., 40.]])
    """
    corner, other = boxes[..., :2], boxes[..., 2:]
    n = n[..., None]
    return torch.cat(
        [
            ((n + 1) * corner + (n - 1) * other) / (2 * n),
            ((n - 1) * corner + (n + 1) * other) / (2 * n),
        ],
        dim=-1,
    )


def confirm_by_centers(pairs: Pairs, centers: Peaks, offsets: Tensor, n: Tensor) -> Tensor:
    """The scores of pairs with a centre of their class in their middle; -1 for the others.

    Args:
        pairs: of corners.
        centers: peaks of the centres' heatmap.
        offsets: ``[B, 2, H, W]``, from cells to centres.
        n: ``[B, M]``: the middle has a side ``1 / n`` of the box's.

    Returns:
        ``[B, M]``: the mean of the three points' scores, of the surest centre there is.

    Source: Duan et al., "CenterNet: Keypoint Triplets" (2019), section 3.2.
    """
    x1, y1, x2, y2 = central_region(pairs.boxes, n)[:, :, None].unbind(3)  # each [B, M, 1]
    x, y = (centers.points + centers.read(offsets))[:, None].unbind(3)  # each [B, 1, K]
    inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
    inside &= pairs.channels[:, :, None] == centers.channels[:, None]
    best = torch.where(inside, centers.scores[:, None], -1).amax(2)
    confirmed = (best > 0) & (pairs.scores >= 0)  # 0: no peak
    return torch.where(confirmed, (2 * pairs.scores + best) / 3, -1)
