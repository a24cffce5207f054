"""A small net that finds the flow between two frames' features by comparing each with each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastcv.nn.init import fill
from fastcv.nn.layers.flow_net import leaky_conv
from fastcv.ops import correlation

WIDTHS = (64, 64, 32)


class CorrelationFlow(nn.Module):
    """What is left of a flow after a first guess, of the features, their correlation and the guess.

    Its last layer starts near zero: an untrained one hardly changes the guess.

    Args:
        channels: of each frame's features.
        radius: how far it looks, in pixels of the maps.

    Source: Hui et al., "LiteFlowNet" (2018), as Kim et al., "Video Panoptic Segmentation" (2020),
        section 4.1, have it.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.correlation_flow import CorrelationFlow
        >>> net = CorrelationFlow(16)
        >>> new, moved = torch.rand(2, 1, 16, 12, 20)
        >>> net(new, moved, torch.zeros(1, 2, 12, 20)).shape
        torch.Size([1, 2, 12, 20])
    """

    def __init__(self, channels: int, radius: int = 4) -> None:
        super().__init__()
        self.radius = radius
        inputs = channels + (2 * radius + 1) ** 2 + 2
        first, second, third = WIDTHS
        last = nn.Conv2d(third, 2, 3, padding=1)
        nn.init.normal_(last.weight, std=1e-3)
        fill(last.bias)
        self.convs = nn.Sequential(
            leaky_conv(inputs, first), leaky_conv(first, second), leaky_conv(second, third), last
        )

    def forward(self, new: Tensor, moved: Tensor, guess: Tensor) -> Tensor:
        """``[B, 2, H, W]`` as (x, y), in pixels of the maps.

        Args:
            new: ``[B, channels, H, W]`` of the later frame.
            moved: of the earlier frame, moved by the guess.
            guess: ``[B, 2, H, W]``.
        """
        found: Tensor = self.convs(
            torch.cat([new, correlation(new, moved, self.radius), guess.to(new.dtype)], dim=1)
        )
        return found
