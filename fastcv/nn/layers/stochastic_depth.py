"""Stochastic depth: residual branches that are left out at random, in training."""

from __future__ import annotations

from torch import Tensor, nn


def drop_branches(branch: Tensor, p: float) -> Tensor:
    """Zero the branch of each image with probability ``p``; scale those that stay.

    Args:
        branch: ``[B, ...]``.
        p: in [0, 1).
    """
    kept = branch.new_empty([branch.shape[0], *[1] * (branch.ndim - 1)])
    return branch * kept.bernoulli_(1 - p).div_(1 - p)


class StochasticDepth(nn.Module):
    """In training, a whole branch is zero with a probability, for each image on its own.

    What is kept is divided by the probability of being kept, so that eval mode changes nothing.

    Args:
        p: the probability of being left out, in [0, 1).

    Raises:
        ValueError: ``p`` is no such probability.

    Source: Huang et al., "Deep Networks with Stochastic Depth" (2016).

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.stochastic_depth import StochasticDepth
        >>> StochasticDepth(0.5)(torch.ones(100, 1, 1, 1)).unique()
        tensor([0., 2.])
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be in [0, 1), got {p}")
        self.p = p

    def forward(self, branch: Tensor) -> Tensor:
        """A residual branch ``[B, ...]``, before it is added."""
        if not self.training or self.p == 0:
            return branch
        return drop_branches(branch, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"
