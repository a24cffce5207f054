"""Losses of detectors that find points: heatmaps, embeddings that pair corners, offsets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.nn.precision import full_precision


def heatmap_focal_loss(
    logits: Tensor, target: Tensor, alpha: float = 2.0, beta: float = 4.0
) -> Tensor:
    """Focal loss of a heatmap, whose zeros weigh less the nearer they are to a one.

    A cell ``p`` of target 1 costs ``(1 - p)^alpha * -log(p)``, one of a target below 1 costs
    ``(1 - target)^beta * p^alpha * -log(1 - p)``; the sum is divided by the number of ones.

    Args:
        logits: any shape; ``p`` is their sigmoid.
        target: of that shape, in [0, 1].
        alpha: how much easy cells are discounted.
        beta: how much cells near a one are.

    Returns:
        A scalar, at least float32; where nothing is 1, the sum alone.

    Source: Law and Deng, "CornerNet" (2018), equation 1.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.losses import heatmap_focal_loss
        >>> heatmap_focal_loss(torch.zeros(3), torch.tensor([1.0, 0.5, 0.0]))  # log 2 / 4 * 33 / 16
        tensor(0.3574)
    """
    logits = full_precision(logits)
    ones = target == 1
    p = logits.sigmoid()
    hit = (1 - p) ** alpha * F.logsigmoid(logits)
    miss = (1 - target) ** beta * p**alpha * F.logsigmoid(-logits)
    return -torch.where(ones, hit, miss).sum() / ones.sum().clamp(min=1)


def pull_push_loss(first: Tensor, second: Tensor, margin: float = 1.0) -> tuple[Tensor, Tensor]:
    """Pulls the embeddings of an object's two points together, pushes objects apart.

    Args:
        first: ``[N]``, the embedding of one point of each object of an image.
        second: ``[N]``, that of the other.
        margin: means of two objects' embeddings that are further apart than this cost nothing.

    Returns:
        ``(pull, push)``, scalars: the mean over objects of the squared distances from their mean,
        and the mean over pairs of objects of what their means lack to the margin. 0 where there
        are no objects, or no pairs.

    Source: Law and Deng, "CornerNet" (2018), equations 4 and 5; after Newell et al., "Associative
        Embedding" (2017).

    Example:
        >>> import torch
        >>> from fastcv.nn.points.losses import pull_push_loss
        >>> pull_push_loss(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
        (tensor(0.2500), tensor(0.5000))
    """
    first, second = full_precision(first), full_precision(second)
    count = len(first)
    mean = (first + second) / 2
    pull = ((first - mean) ** 2 + (second - mean) ** 2).sum() / max(count, 1)
    lacking = (margin - (mean[:, None] - mean).abs()).clamp(min=0)
    pairs = max(count * (count - 1), 1)
    push = (lacking.sum() - lacking.diagonal().sum()) / pairs
    return pull, push


def offset_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Smooth L1 of offsets ``[N, 2]``, summed over x and y, the mean over points; 0 of none.

    Source: Law and Deng, "CornerNet" (2018), equation 3.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.losses import offset_loss
        >>> offset_loss(torch.tensor([[0.5, 2.0]]), torch.tensor([[0.0, 0.0]]))  # 0.125 + 1.5
        tensor(1.6250)
    """
    total = F.smooth_l1_loss(full_precision(predictions), targets, reduction="sum")
    return total / max(len(targets), 1)


def l1_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """Absolute differences of ``[N, 2]``, summed over x and y, the mean over points; 0 of none.

    Source: Zhou et al., "Objects as Points" (2019), equations 2 and 3.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.losses import l1_loss
        >>> l1_loss(torch.tensor([[0.5, 2.0]]), torch.tensor([[0.0, 0.0]]))
        tensor(2.5000)
    """
    total = F.l1_loss(full_precision(predictions), targets, reduction="sum")
    return total / max(len(targets), 1)
