"""Quantiles of more numbers than fit into memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor

GAMMA = 1.01  # from one bucket's upper edge to the next one's
SMALLEST, LARGEST = 1e-6, 1e6  # what is smaller counts as 0, what is larger as this
BUCKETS = math.ceil(math.log(LARGEST / SMALLEST) / math.log(GAMMA))


class QuantileSketch:
    """Counts of each row's numbers in buckets that grow with the numbers' size.

    It takes the same memory however many numbers are added: 44 KB for a row. A quantile is at most
    1 % of its size above the true one, and never below it.

    Args:
        rows: how many.

    Source: Masson, Rim, Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
        Relative-Error Guarantees" (2019).

    Example:
        >>> import torch
        >>> sketch = QuantileSketch(2)
        >>> for part in torch.arange(1000.0).view(10, 1, 100).expand(-1, 2, -1):
        ...     sketch.add(part * torch.tensor([[1.0], [-1.0]]))
        >>> sketch.quantile(0.9).round()
        tensor([ 899., -100.])
    """

    def __init__(self, rows: int) -> None:
        self.counts = torch.zeros(rows, 2 * BUCKETS + 1, dtype=torch.int64)

    def add(self, numbers: Tensor) -> None:
        """Counts numbers ``[rows, N]``."""
        sizes = numbers.detach().double().abs().clamp(max=LARGEST)
        bucket = (sizes / SMALLEST).log().div(math.log(GAMMA)).ceil().clamp(0, BUCKETS)
        place = (bucket * numbers.sign()).long().cpu() + BUCKETS
        self.counts.scatter_add_(1, place, torch.ones_like(place))

    def quantile(self, share: float) -> Tensor:
        """``[rows]``: of each row a number that at most ``1 - share`` of its numbers are above."""
        total = self.counts.sum(dim=1, keepdim=True)
        below = self.counts.cumsum(dim=1) >= share * total
        place = below.int().argmax(dim=1) - BUCKETS
        # The bucket's upper edge: of a negative one the edge that is nearer to 0.
        edge = torch.where(place > 0, place, place + 1).abs().double()
        sizes = SMALLEST * GAMMA**edge * place.sign()
        return sizes.float()
