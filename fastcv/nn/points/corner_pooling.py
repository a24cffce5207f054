"""Prediction modules that pool towards a box's corners, or its centre."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from fastcv.nn.backbones.hourglass import ConvNormReLU
from fastcv.nn.backbones.resnet import conv
from fastcv.ops import corner_pool

Corner = Literal["top_left", "bottom_right"]
SIDES = {"top_left": ("top", "left"), "bottom_right": ("bottom", "right")}


class _PoolingModule(nn.Module):
    """What the three share: two pooled branches, added, and a residual around them.

    Args:
        channels: of the feature map, in and out; each branch has half as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.p1_conv1 = ConvNormReLU(3, channels, inner)
        self.p2_conv1 = ConvNormReLU(3, channels, inner)
        self.p_conv1 = conv(3, inner, channels)
        self.p_bn1 = nn.BatchNorm2d(channels)
        self.conv1 = conv(1, channels, channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = ConvNormReLU(3, channels, channels)

    def pooled(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """``[B, channels, H, W]``, of the same shape."""
        both = self.p_bn1(self.p_conv1(self.pooled(x))) + self.bn1(self.conv1(x))
        return self.conv2(torch.relu(both))


class CornerPooling(_PoolingModule):
    """Brings what a corner needs to see of its object to the corner.

    A top-left corner sees, in one branch, the largest value below it, in the other the largest to
    its right; a bottom-right one looks up and to the left.

    Args:
        channels: of the feature map.
        corner: ``"top_left"`` or ``"bottom_right"``.

    Source: Law and Deng, "CornerNet" (2018), section 3.4 and figure 7.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.corner_pooling import CornerPooling
        >>> CornerPooling(8, "top_left")(torch.rand(1, 8, 6, 7)).shape
        torch.Size([1, 8, 6, 7])
    """

    def __init__(self, channels: int, corner: Corner) -> None:
        super().__init__(channels)
        self.along_y, self.along_x = SIDES[corner]

    def pooled(self, x: Tensor) -> Tensor:
        return corner_pool(self.p1_conv1(x), self.along_y) + corner_pool(
            self.p2_conv1(x), self.along_x
        )


class CascadeCornerPooling(CornerPooling):
    """Corner pooling that looks along an edge, and from what it found there into the object.

    The largest value along a row is added to the branch that looks down a column, and the other
    way about.

    Args: as for ``CornerPooling``.

    Source: Duan et al., "CenterNet: Keypoint Triplets for Object Detection" (2019), section 3.3
        and figure 5b.
    """

    def __init__(self, channels: int, corner: Corner) -> None:
        super().__init__(channels, corner)
        inner = channels // 2
        self.look_conv1 = ConvNormReLU(3, channels, inner)
        self.look_conv2 = ConvNormReLU(3, channels, inner)
        self.P1_look_conv = conv(3, inner, inner)
        self.P2_look_conv = conv(3, inner, inner)

    def pooled(self, x: Tensor) -> Tensor:
        across = corner_pool(self.look_conv1(x), self.along_x)
        down = corner_pool(self.look_conv2(x), self.along_y)
        first = self.P1_look_conv(self.p1_conv1(x) + across)
        second = self.P2_look_conv(self.p2_conv1(x) + down)
        return corner_pool(first, self.along_y) + corner_pool(second, self.along_x)


class CenterPooling(_PoolingModule):
    """The largest value of a cell's column, plus the largest of its row.

    Args:
        channels: of the feature map.

    Source: Duan et al., "CenterNet: Keypoint Triplets" (2019), section 3.3 and figure 5a. Pooling
        one way and then the other gives each cell the maximum of the whole line.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.corner_pooling import whole_line
        >>> whole_line(torch.tensor([[[[1.0, 3.0, 2.0]]]]), "left", "right")
        tensor([[[[3., 3., 3.]]]])
    """

    def pooled(self, x: Tensor) -> Tensor:
        column = whole_line(self.p1_conv1(x), "top", "bottom")
        return column + whole_line(self.p2_conv1(x), "left", "right")


def whole_line(x: Tensor, one_way: str, back: str) -> Tensor:
    """Each cell's row's or column's maximum, by two corner poolings."""
    return corner_pool(corner_pool(x, one_way), back)
