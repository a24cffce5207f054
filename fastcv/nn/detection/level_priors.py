"""Priors with one scale in pixels for each level of a pyramid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class LevelPriors(nn.Module):
    """For each cell of a level a box of its scale for each ratio, about the cell's centre.

    Args:
        scales: of each level, the side of its square in pixels of the network's input.
        ratios: width over height of the boxes.
        square_anchors: every box is as high as it is wide, ``scale * sqrt(ratio)``. That was a slip
            of YOLACT's authors, which their published weights have learned.

    Source: Bolya et al., "YOLACT: Real-time Instance Segmentation" (2019), section 5.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.level_priors import LevelPriors
        >>> priors = LevelPriors([8.0], ratios=(1, 4), square_anchors=True)
        >>> priors((20, 40), [torch.zeros(1, 8, 1, 2)])
        tensor([[ 6.,  6., 14., 14.],
                [ 2.,  2., 18., 18.],
                [26.,  6., 34., 14.],
                [22.,  2., 38., 18.]])
        >>> LevelPriors([8.0], (4,), square_anchors=False)((20, 20), [torch.zeros(1, 8, 1, 1)])
        tensor([[ 2.,  8., 18., 12.]])
    """

    def __init__(
        self,
        scales: Sequence[float],
        ratios: Sequence[float] = (1, 1 / 2, 2),
        *,
        square_anchors: bool = False,
    ) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.ratios = tuple(ratios)
        self.square_anchors = square_anchors

    def per_cell(self) -> int:
        """Priors of a cell."""
        return len(self.ratios)

    def forward(self, input_size: tuple[int, int], maps: Sequence[Tensor]) -> Tensor:
        """Priors of all levels.

        Args:
            input_size: ``(height, width)`` of the network's input.
            maps: ``[B, C, H, W]`` for each level; its size and device are read.

        Returns:
            ``[N, 4]`` float32 as ``(x1, y1, x2, y2)`` in pixels of the input, level by level, row
            by row, the priors of a cell together.

        Raises:
            ValueError: not as many maps as scales.
        """
        if len(maps) != len(self.scales):
            raise ValueError(f"LevelPriors: expected {len(self.scales)} maps, got {len(maps)}")
        levels = zip(self.scales, maps, strict=True)
        return torch.cat([self._level(scale, input_size, x) for scale, x in levels])

    def _level(self, scale: float, input_size: tuple[int, int], x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        centre_y = (torch.arange(height, device=x.device) + 0.5) * (input_size[0] / height)
        centre_x = (torch.arange(width, device=x.device) + 0.5) * (input_size[1] / width)
        grid_y, grid_x = torch.meshgrid(centre_y, centre_x, indexing="ij")
        centres = torch.stack([grid_x, grid_y], dim=-1).reshape(-1, 1, 2)
        half = 0.5 * torch.tensor([self._sides(scale, r) for r in self.ratios], device=x.device)
        return torch.cat([centres - half, centres + half], dim=-1).reshape(-1, 4)

    def _sides(self, scale: float, ratio: float) -> tuple[float, float]:
        width = scale * math.sqrt(ratio)
        return width, width if self.square_anchors else scale / math.sqrt(ratio)
