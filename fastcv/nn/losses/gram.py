"""The Gram matrix as a module, to stand at the end of a trunk."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.ops import gram_matrix


class GramMatrix(nn.Module):
    """``fastcv.ops.gram_matrix`` as a module; see there.

    Example:
        >>> import torch
        >>> style = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), GramMatrix())
        >>> style(torch.rand(2, 3, 20, 20)).shape
        torch.Size([2, 8, 8])
    """

    def __init__(self, normalize: bool = True) -> None:
        super().__init__()
        self.normalize = normalize

    def forward(self, features: Tensor) -> Tensor:
        return gram_matrix(features, self.normalize)

    def extra_repr(self) -> str:
        return f"normalize={self.normalize}"
