"""The Xception trunk: depthwise separable convolutions, with residual connections about them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from fastcv.nn.layers.separable_conv import SeparableConv2d


class XceptionBlock(nn.Module):
    """Separable convolutions, each behind a ReLU, and a shortcut.

    Args:
        channels: the input's, then those after each convolution.
        stride: 2 ends in a max pooling, and the shortcut's 1x1 convolution strides.
        dilation: of the separable convolutions.
        starts_with_relu: not so in the first block, whose input has had its ReLU.
    """

    def __init__(
        self, *channels: int, stride: int = 1, dilation: int = 1, starts_with_relu: bool = True
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            # The first ReLU must leave the input alone: the shortcut reads it too.
            layers += [nn.ReLU(inplace=bool(layers)), SeparableConv2d(inputs, outputs, dilation)]
            layers += [nn.BatchNorm2d(outputs)]
        if stride != 1:
            layers.append(nn.MaxPool2d(3, stride, padding=1))
        self.rep = nn.Sequential(*(layers if starts_with_relu else layers[1:]))
        self.skip: nn.Module | None = None
        if stride != 1 or channels[0] != channels[-1]:
            self.skip = nn.Conv2d(channels[0], channels[-1], 1, stride, bias=False)
            self.skipbn = nn.BatchNorm2d(channels[-1])

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.skip is None else self.skipbn(self.skip(x))
        return self.rep(x) + shortcut


class XceptionTrunk(nn.Module):
    """Entry flow, eight middle blocks, exit flow up to its last convolution; timm's keys.

    Args:
        replace_stride_with_dilation: for blocks 3 and 12, whether to dilate instead of striding,
            there and in all that follows.

    Attributes:
        out_channels: channels of the four feature maps.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions" (2017),
        figure 5.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.xception import XceptionTrunk
        >>> [tuple(x.shape[1:]) for x in XceptionTrunk()(torch.rand(1, 3, 67, 67))]
        [(128, 16, 16), (256, 8, 8), (728, 4, 4), (2048, 2, 2)]
    """

    out_channels = (128, 256, 728, 2048)

    def __init__(self, *, replace_stride_with_dilation: Sequence[bool] = (False, False)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.block1 = XceptionBlock(64, 128, 128, stride=2, starts_with_relu=False)
        self.block2 = XceptionBlock(128, 256, 256, stride=2)
        dilates_middle, dilates_exit = replace_stride_with_dilation
        stride, dilation = (1, 2) if dilates_middle else (2, 1)
        self.block3 = XceptionBlock(256, 728, 728, stride=stride, dilation=dilation)
        for i in range(4, 12):
            self.add_module(f"block{i}", XceptionBlock(728, 728, 728, 728, dilation=dilation))
        stride, dilation = (1, 2 * dilation) if dilates_exit else (2, dilation)
        self.block12 = XceptionBlock(728, 728, 1024, stride=stride, dilation=dilation)
        self.conv3 = SeparableConv2d(1024, 1536, dilation)
        self.bn3 = nn.BatchNorm2d(1536)
        self.conv4 = SeparableConv2d(1536, 2048, dilation)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stages(self, images: Tensor) -> list[Tensor]:
        """The maps before each change of size, and the last convolution's, without its norm.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.relu(self.bn2(self.conv2(x)))
        c2 = self.block1(x)
        c3 = self.block2(c2)
        c4 = self.block3(c3)
        for i in range(4, 12):
            c4 = self.get_submodule(f"block{i}")(c4)
        x = self.block12(c4)
        x = self.relu(self.bn3(self.conv3(x)))
        return [c2, c3, c4, self.conv4(x)]

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.stages(images)
