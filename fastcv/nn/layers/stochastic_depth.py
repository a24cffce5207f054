"""Stochastic depth: residual branches that are left out at random, in training."""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor, nn


@torch.fx.wrap
def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """Zero a branch with a probability; scale what is kept, so that the mean stays.

    Args:
        input: ``[B, ...]``, what a residual branch gives.
        p: the probability of being left out, in [0, 1].
        mode: ``"row"``: each image on its own; ``"batch"``: all or none.
        training: whether anything is left out.

    Returns:
        A tensor like ``input``; ``input`` itself where nothing can be left out.

    Raises:
        ValueError: ``p`` is no probability, or an unknown ``mode``.

    Source: Huang et al., "Deep Networks with Stochastic Depth" (2016).

    Example:
        >>> import torch, fastcv
        >>> fastcv.ops.stochastic_depth(torch.ones(100, 1), 0.5, "row").unique()
        tensor([0., 2.])
    """
    _check_options(p, mode)
    if not training or p == 0:
        return input
    rows = input.shape[0] if mode == "row" else 1
    kept = input.new_empty([rows] + [1] * (input.dim() - 1)).bernoulli_(1 - p)
    return input * (kept / (1 - p) if p < 1 else kept)


class StochasticDepth(nn.Module):
    """``stochastic_depth`` as a module, in training; eval mode changes nothing.

    Args:
        p: the probability of being left out, in [0, 1].
        mode: ``"row"``: each image on its own; ``"batch"``: all or none.

    Raises:
        ValueError: ``p`` is no probability, or an unknown ``mode``.

    Source: Huang et al., "Deep Networks with Stochastic Depth" (2016).

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.stochastic_depth import StochasticDepth
        >>> StochasticDepth(0.5)(torch.ones(100, 1, 1, 1)).unique()
        tensor([0., 2.])
    """

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        _check_options(p, mode)
        self.p = p
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        """A residual branch ``[B, ...]``, before it is added."""
        return stochastic_depth(input, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"


def _check_options(p: float, mode: str) -> None:
    if p < 0 or p > 1:
        raise ValueError(f"p must be in [0, 1], got {p}")
    if mode not in ("row", "batch"):
        raise ValueError(f"mode must be 'row' or 'batch', got '{mode}'")
