"""Darknet-53: YOLOv3's residual network, of halving convolutions in place of pools."""

from __future__ import annotations

from torch import Tensor, nn

BLOCKS = (1, 2, 8, 8, 4)  # table 1
SLOPE = 0.1


def darknet_conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, a norm and a leaky ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


class DarknetBlock(nn.Module):
    """Half the channels by 1x1, all of them again by 3x3, and the sum with what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = darknet_conv(channels, channels // 2, 1)
        self.conv2 = darknet_conv(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x)) + x


class Darknet53Trunk(nn.Module):
    """Darknet-53 without its classifier; the keys of its state are those of dbolya/yolact.

    Args:
        width: channels of the first convolution; each stage doubles them.

    Attributes:
        out_channels: channels of the five feature maps.

    Source: Redmon and Farhadi, "YOLOv3: An Incremental Improvement" (2018), table 1; weights start
        as in He et al., "Delving Deep into Rectifiers" (2015).

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.darknet53 import Darknet53Trunk
        >>> trunk = Darknet53Trunk(width=4)
        >>> [tuple(x.shape) for x in trunk(torch.rand(1, 3, 64, 64))][-2:]
        [(1, 64, 4, 4), (1, 128, 2, 2)]
    """

    def __init__(self, *, width: int = 32) -> None:
        super().__init__()
        self._preconv = darknet_conv(3, width, 3)
        self.layers = nn.ModuleList()
        inputs = width
        for blocks in BLOCKS:
            outputs = 2 * inputs
            halving = darknet_conv(inputs, outputs, 3, stride=2)
            self.layers.append(
                nn.Sequential(halving, *(DarknetBlock(outputs) for _ in range(blocks)))
            )
            inputs = outputs
        self.out_channels = tuple(width * 2**i for i in range(1, len(BLOCKS) + 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE, mode="fan_out")

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of the five stages, ``[B, C_i, H / s_i, W / s_i]``, s = 2, 4, 8, 16, 32.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        x = self._preconv(images)
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps
