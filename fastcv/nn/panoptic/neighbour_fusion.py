"""A pyramid that also knows what the frame before has shown."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.init import fill
from fastcv.nn.layers.correlation_flow import CorrelationFlow
from fastcv.nn.layers.temporal_fusion import TemporalFusion
from fastcv.ops import flow_warp


class NeighbourFusion(nn.Module):
    """Adds to each level of a frame's pyramid what the earlier frame knows of the place.

    All levels are gathered at the finest. The earlier frame's are moved by a first guess of the
    flow, then by what a small net finds is left of it. Both frames are joined, refined by a
    convolution with ReLU, and scattered: each level gets its share added.

    Args:
        channels: of every level.
        radius: how far the small net looks, in pixels of the finest level.

    Source: Kim et al., "Video Panoptic Segmentation" (2020), section 4.1 ("Fuse"); gathering and
        scattering: Pang et al., "Libra R-CNN" (2019), section 3.2. The refinement starts near
        zero, so that an untrained one hardly changes a pyramid.

    Example:
        >>> import torch
        >>> from fastcv.nn.panoptic.neighbour_fusion import NeighbourFusion
        >>> fusion = NeighbourFusion(16)
        >>> levels = [torch.rand(1, 16, side, side) for side in (32, 16, 8, 4, 2)]
        >>> fused, flow = fusion(levels, levels, torch.zeros(1, 2, 32, 32))
        >>> [tuple(level.shape[2:]) for level in fused], flow.shape
        ([(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)], torch.Size([1, 2, 32, 32]))
    """

    def __init__(self, channels: int, radius: int = 4) -> None:
        super().__init__()
        self.flow = CorrelationFlow(channels, radius)
        self.join = TemporalFusion(channels)
        self.refine = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.refine.weight, std=1e-3)
        fill(self.refine.bias)

    def forward(
        self, levels: Sequence[Tensor], earlier: Sequence[Tensor], guess: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """The frame's levels, and the flow to where in the earlier frame its pixels were.

        Args:
            levels: ``[B, channels, H_l, W_l]``, finest first, each about half of the one before.
            earlier: of the earlier frame, of the same shapes.
            guess: ``[B, 2, H, W]`` as (x, y) in pixels of the finest level: from where a pixel is
                to where it was.

        Returns:
            levels of the same shapes, and ``[B, 2, H, W]``.
        """
        now = gathered(levels)
        guess = guess.to(now.dtype)
        moved = flow_warp(gathered(earlier), guess)
        rest = self.flow(now, moved, guess)
        both = self.join([now, flow_warp(moved, rest)])
        flow = rest + flow_warp(guess, rest, "border")
        return scattered(F.relu(self.refine(both)), levels), flow


def gathered(levels: Sequence[Tensor]) -> Tensor:
    """The mean of all levels at the size of the finest, the nearest pixel of each."""
    finest = levels[0].shape[-2:]
    return torch.stack([F.interpolate(x, finest, mode="nearest") for x in levels]).mean(0)


def scattered(x: Tensor, levels: Sequence[Tensor]) -> list[Tensor]:
    """``x`` added to each level; of a coarser one the maximum over the pixels that it covers.

    Args:
        x: of the finest level's shape.
        levels: finest first, each half of the one before, rounded up.
    """
    added = [levels[0] + x]
    for level in levels[1:]:
        x = F.max_pool2d(x, 2, ceil_mode=True)
        added.append(level + x)
    return added
