"""Dimensions in another order, as a module."""

from __future__ import annotations

from torch import Tensor, nn


class Permute(nn.Module):
    """``x.permute(dims)``, for a place in an ``nn.Sequential``.

    Args:
        dims: which dimension of the input each of the output is.

    Example:
        >>> import torch, fastcv
        >>> fastcv.ops.Permute([0, 2, 3, 1])(torch.rand(1, 3, 4, 5)).shape
        torch.Size([1, 4, 5, 3])
    """

    def __init__(self, dims: list[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)
