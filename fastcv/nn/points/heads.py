"""Heads that read a feature map cell by cell: a heatmap, and numbers at its peaks."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from fastcv.nn.init import fill

HEATMAP_BIAS = -2.19  # a sigmoid of 0.1: most cells are no points


def branch(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """A 3x3 convolution, a ReLU and a 1x1 convolution."""
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, outputs, 1),
    )


def heatmap_branch(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """The same, whose bias starts so that a point in a cell is improbable."""
    layers = branch(inputs, hidden, outputs)
    fill(layers[-1].bias, HEATMAP_BIAS)
    return layers


class CornerMaps(NamedTuple):
    """Predictions for one kind of corner, on a map of stride 4."""

    heatmap: Tensor
    """``[B, C, H, W]``, logits."""
    embedding: Tensor
    """``[B, 1, H, W]``: near each other where two corners are of one object."""
    offset: Tensor
    """``[B, 2, H, W]``: from the cell's (x, y) to the corner, in cells."""


class CornerHead(nn.Module):
    """Pools a feature map towards a corner and predicts where the corners are.

    Args:
        pool: the pooling module, of ``channels``.
        channels: of the feature map.
        hidden: channels between the convolutions.
        classes: channels of the heatmap.
    """

    def __init__(self, pool: nn.Module, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.pool = pool
        self.heatmap = heatmap_branch(channels, hidden, classes)
        self.embedding = branch(channels, hidden, 1)
        self.offset = branch(channels, hidden, 2)

    def forward(self, features: Tensor) -> CornerMaps:
        pooled = self.pool(features)
        return CornerMaps(self.heatmap(pooled), self.embedding(pooled), self.offset(pooled))


class PointMaps(NamedTuple):
    """Predictions for objects as points: centres and sizes, on a map of stride 4."""

    heatmap: Tensor
    """``[B, C, H, W]``, logits."""
    size: Tensor
    """``[B, 2, H, W]``: the object's width and height, in cells."""
    offset: Tensor
    """``[B, 2, H, W]``: from the cell's (x, y) to the centre, in cells."""


class PointHead(nn.Module):
    """Predicts where objects' centres are, and how large the objects; the head of CenterNet.

    Args:
        channels: of the feature map.
        hidden: channels between the convolutions.
        classes: channels of the heatmap.
    """

    def __init__(self, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.heatmap = heatmap_branch(channels, hidden, classes)
        self.size = branch(channels, hidden, 2)
        self.offset = branch(channels, hidden, 2)

    def forward(self, features: Tensor) -> PointMaps:
        return PointMaps(self.heatmap(features), self.size(features), self.offset(features))


class CenterMaps(NamedTuple):
    """Predictions for centres that confirm pairs of corners, on a map of stride 4."""

    heatmap: Tensor
    """``[B, C, H, W]``, logits."""
    offset: Tensor
    """``[B, 2, H, W]``: from the cell's (x, y) to the centre, in cells."""


class CenterHead(nn.Module):
    """Pools a feature map towards objects' centres and predicts where these are.

    Args: as for ``CornerHead``.
    """

    def __init__(self, pool: nn.Module, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.pool = pool
        self.heatmap = heatmap_branch(channels, hidden, classes)
        self.offset = branch(channels, hidden, 2)

    def forward(self, features: Tensor) -> CenterMaps:
        pooled = self.pool(features)
        return CenterMaps(self.heatmap(pooled), self.offset(pooled))
