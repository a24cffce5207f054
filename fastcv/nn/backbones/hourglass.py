"""The stacked hourglass: down to a few pixels and up again, with a shortcut at every size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.backbones.resnet import conv

DIMS = (256, 256, 384, 384, 384, 512)
MODULES = (2, 2, 2, 2, 2, 4)


class ConvNormReLU(nn.Module):
    """A convolution, a batch norm and a ReLU, under the names of the hourglass checkpoints."""

    def __init__(self, kernel: int, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = conv(kernel, inputs, outputs, stride)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut, projected where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv(3, inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(3, outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(conv(1, inputs, outputs, stride), nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + self.skip(x))


class Hourglass(nn.Module):
    """One hourglass: a branch at full size, and one that goes through a smaller hourglass.

    Args:
        dims: channels at each size, the largest first; two or more.
        modules: residual blocks at each size.

    Source: Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (2016), figure 3;
        strides for max pooling as in Law and Deng (2018), section 3.6.
    """

    def __init__(self, dims: Sequence[int], modules: Sequence[int]) -> None:
        super().__init__()
        here, below = dims[:2]
        blocks = modules[0]
        self.up1 = nn.Sequential(*(Residual(here, here) for _ in range(blocks)))
        self.low1 = nn.Sequential(
            Residual(here, below, stride=2), *(Residual(below, below) for _ in range(blocks - 1))
        )
        self.low2: nn.Module
        if len(dims) > 2:
            self.low2 = Hourglass(dims[1:], modules[1:])
        else:
            self.low2 = nn.Sequential(*(Residual(below, below) for _ in range(modules[1])))
        self.low3 = nn.Sequential(
            *(Residual(below, below) for _ in range(blocks - 1)), Residual(below, here)
        )

    def forward(self, x: Tensor) -> Tensor:
        low = self.low3(self.low2(self.low1(x)))
        return self.up1(x) + F.interpolate(low, scale_factor=2.0, mode="nearest")


class StackedHourglass(nn.Module):
    """Hourglasses in a row on a stem of stride 4, each with a feature map of its own.

    Each hourglass but the last passes its input and its feature map on, added. With the defaults
    this is hourglass-104, with one stack hourglass-52.

    Args:
        stacks: how many hourglasses.
        dims: channels at each size within one, the largest first.
        modules: residual blocks at each size.
        out_channels: of the feature maps.

    Attributes:
        map_channels: ``out_channels``.
        size_divisible: the images' sides, or one more than them, must be multiples of it.

    Raises:
        ValueError: ``dims`` and ``modules`` do not have the same length, of 2 or more.

    Source: Law and Deng, "CornerNet: Detecting Objects as Paired Keypoints" (2018), section 3.6.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.hourglass import StackedHourglass
        >>> backbone = StackedHourglass(2, dims=(8, 8, 16), modules=(1, 1, 1), out_channels=8)
        >>> [tuple(x.shape) for x in backbone(torch.rand(1, 3, 63, 79))]
        [(1, 8, 16, 20), (1, 8, 16, 20)]
    """

    def __init__(
        self,
        stacks: int = 2,
        dims: Sequence[int] = DIMS,
        modules: Sequence[int] = MODULES,
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        if len(dims) != len(modules) or len(dims) < 2:
            raise ValueError(
                "dims and modules must have an entry for each size, 2 or more, got "
                f"{tuple(dims)} and {tuple(modules)}"
            )
        width = dims[0]
        self.pre = nn.Sequential(
            ConvNormReLU(7, 3, width // 2, stride=2), Residual(width // 2, width, stride=2)
        )
        self.kps = nn.ModuleList(Hourglass(dims, modules) for _ in range(stacks))
        self.cnvs = nn.ModuleList(ConvNormReLU(3, width, out_channels) for _ in range(stacks))
        between = range(stacks - 1)
        self.inters = nn.ModuleList(Residual(width, width) for _ in between)
        self.inters_ = nn.ModuleList(_projection(width, width) for _ in between)
        self.cnvs_ = nn.ModuleList(_projection(out_channels, width) for _ in between)
        self.map_channels = out_channels
        self.stacks = stacks
        self.size_divisible = 4 * 2 ** (len(dims) - 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """``[B, out_channels, H / 4, W / 4]`` for each hourglass.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        x = self.pre(images)
        features = []
        for i, (hourglass, out) in enumerate(zip(self.kps, self.cnvs, strict=True)):
            features.append(out(hourglass(x)))
            if i < self.stacks - 1:
                both = self.inters_[i](x) + self.cnvs_[i](features[-1])
                x = self.inters[i](F.relu(both))
        return features


def _projection(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv(1, inputs, outputs), nn.BatchNorm2d(outputs))
