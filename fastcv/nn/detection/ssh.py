"""SSH's context module: every cell of a map sees 3, 5 and 7 cells around it, cheaply."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastcv.nn.backbones.mobilenet_v1 import conv_norm


class SSHContext(nn.Module):
    """3x3 convolutions, one, two and three deep, side by side; the last two share their first.

    Half of the channels see 3 x 3 cells, a quarter 5 x 5, a quarter 7 x 7.

    Args:
        channels: of the input and of the output, a multiple of 4.
        slope: of the leaky ReLUs inside.

    Its keys are biubug6's, with their small x in ``conv7x7_3``.

    Source: Najibi et al., "SSH: Single Stage Headless Face Detector" (2017), figure 4.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.ssh import SSHContext
        >>> SSHContext(16)(torch.rand(1, 16, 5, 7)).shape
        torch.Size([1, 16, 5, 7])
    """

    def __init__(self, channels: int, slope: float = 0.0) -> None:
        super().__init__()
        if channels % 4:
            raise ValueError(f"channels must be a multiple of 4, got {channels}")
        half, quarter = channels // 2, channels // 4
        self.conv3X3 = conv_norm(channels, half, slope=None)
        self.conv5X5_1 = conv_norm(channels, quarter, slope=slope)
        self.conv5X5_2 = conv_norm(quarter, quarter, slope=None)
        self.conv7X7_2 = conv_norm(quarter, quarter, slope=slope)
        self.conv7x7_3 = conv_norm(quarter, quarter, slope=None)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, channels, H, W]`` to the same shape."""
        shared = self.conv5X5_1(x)
        contexts = [self.conv3X3(x), self.conv5X5_2(shared), self.conv7x7_3(self.conv7X7_2(shared))]
        return torch.cat(contexts, dim=1).relu()
