"""Hard negative mining: of the many background anchors, the loss looks at the worst few."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def hard_negatives(loss: Tensor, positive: Tensor, ratio: float = 3.0) -> Tensor:
    """The negatives of each image with the highest loss, a few for each of its positives.

    Args:
        loss: ``[B, N]``, what each anchor would cost.
        positive: ``[B, N]`` bool, the anchors that are objects.
        ratio: negatives for one positive; an image without objects has none.

    Returns:
        ``[B, N]`` bool; of equal losses, those of the first anchors.

    Source: Liu et al., "SSD" (2016), section 2.2, hard negative mining.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.hard_negatives import hard_negatives
        >>> loss = torch.tensor([[0.1, 5.0, 0.3, 0.2, 0.9]])
        >>> hard_negatives(loss, torch.tensor([[False, True, False, False, False]]), ratio=2)
        tensor([[False, False,  True, False,  True]])
    """
    candidates = loss.masked_fill(positive, -torch.inf)
    order = candidates.argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1)
    max_negatives = ratio * positive.sum(dim=1, keepdim=True)
    return (rank < max_negatives) & ~positive
