"""Square prior boxes of fixed sizes, for objects that are about as wide as high: faces."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SquarePriors(nn.Module):
    """Squares about the middle of every cell of every feature map.

    Args:
        sizes: for each map, the sides of its squares in pixels of the input.
        strides: for each map, the pixels of the input from cell to cell.

    Raises:
        ValueError: not as many strides as sizes, or a size that is not above 0.

    Source: Deng et al., "RetinaFace" (2020), table 1: anchors of ratio 1.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.square_priors import SquarePriors
        >>> SquarePriors([(16, 32)], [8])([torch.zeros(1, 8, 1, 2)])
        [tensor([[ -4.,  -4.,  12.,  12.],
                [-12., -12.,  20.,  20.],
                [  4.,  -4.,  20.,  12.],
                [ -4., -12.,  28.,  20.]])]
    """

    def __init__(self, sizes: Sequence[Sequence[float]], strides: Sequence[int]) -> None:
        super().__init__()
        if len(sizes) != len(strides):
            raise ValueError(f"sizes must be of {len(strides)} maps, as strides, got {len(sizes)}")
        if not all(size > 0 for level in sizes for size in level):
            raise ValueError(f"sizes must be above 0, got {[list(level) for level in sizes]}")
        self.sizes, self.strides = sizes, strides

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Priors of all maps.

        Args:
            features: ``[B, C, H, W]`` for each map; its size and device are read.

        Returns:
            for each map ``[H * W * A, 4]`` float32 as ``(x1, y1, x2, y2)`` in pixels of the input,
            row by row, the priors of a cell together.
        """
        return [
            self._level(feature, sizes, stride)
            for feature, sizes, stride in zip(features, self.sizes, self.strides, strict=True)
        ]

    @staticmethod
    def _level(feature: Tensor, sizes: Sequence[float], stride: int) -> Tensor:
        height, width = feature.shape[-2:]
        y = (torch.arange(height, device=feature.device) + 0.5) * stride
        x = (torch.arange(width, device=feature.device) + 0.5) * stride
        y, x = torch.meshgrid(y, x, indexing="ij")
        centre = torch.stack([x, y], dim=-1).reshape(-1, 1, 2)
        half = 0.5 * torch.tensor(sizes, device=feature.device)[:, None]
        return torch.cat([centre - half, centre + half], dim=-1).reshape(-1, 4)
