"""Where a cell of a feature map is, as numbers that attention can compare."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SinePosition(nn.Module):
    """Sines and cosines of each cell's row and column, which run from 0 to 2 pi over the image.

    Args:
        channels: half for the row, half for the column; a multiple of 4.
        temperature: the longest wave is so many times the shortest.

    Source: Carion et al., "End-to-End Object Detection with Transformers" (2020), appendix A.4;
        Vaswani et al., "Attention Is All You Need" (2017), section 3.5.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.sine_position import SinePosition
        >>> padding = torch.tensor([[[False, False, True]]])  # 1 x 3 cells, the last is padding
        >>> SinePosition(4)(padding)[0, 2:, 0].T.round(decimals=3)  # of columns at pi and 2 pi
        tensor([[ 0., -1.],
                [-0.,  1.],
                [-0.,  1.]])
    """

    def __init__(self, channels: int, temperature: float = 10000.0) -> None:
        super().__init__()
        if channels % 4 != 0:
            raise ValueError(f"channels must be a multiple of 4, got {channels}")
        self.channels = channels
        self.temperature = temperature

    def forward(self, padding: Tensor) -> Tensor:
        """Positions of a batch's cells.

        Args:
            padding: ``[B, H, W]`` bool, true beyond an image's lower and right edge.

        Returns:
            ``[B, channels, H, W]`` float32; the first half belongs to the row.
        """
        inside = ~padding
        rows, columns = (inside.cumsum(axis, dtype=torch.float32) for axis in (1, 2))
        # The published weights were trained with this small number in the denominator.
        rows = rows / (rows[:, -1:] + 1e-6) * 2 * math.pi
        columns = columns / (columns[:, :, -1:] + 1e-6) * 2 * math.pi
        return torch.cat([self._waves(rows), self._waves(columns)], dim=1)

    def _waves(self, at: Tensor) -> Tensor:
        """``[B, H, W]`` to ``[B, channels / 2, H, W]``, sine and cosine of each wave in turn."""
        count = self.channels // 4
        exponent = torch.arange(count, dtype=torch.float32, device=at.device) / count
        angle = at[:, None] / (self.temperature**exponent)[:, None, None]
        return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1, 2)
