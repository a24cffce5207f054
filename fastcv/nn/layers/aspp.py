"""Atrous spatial pyramid pooling: one map seen at several rates, and as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.backbones.resnet import conv
from fastcv.nn.layers.separable_conv import SeparableConv2d


def conv_norm_relu(convolution: nn.Module, channels: int) -> nn.Sequential:
    """A convolution to ``channels`` channels, a batch norm, a ReLU."""
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class ASPP(nn.Module):
    """A 1x1 convolution, 3x3 ones at several rates, the mean of all; concatenated, projected.

    Its keys are those of torchvision's: ``convs.0`` to ``convs.4``, ``project``.

    Args:
        inputs: channels.
        rates: of the 3x3 convolutions.
        channels: of each branch, and of the output.
        dropout: after the projection.
        separable: 3x3 convolutions of depthwise and pointwise ones.

    Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation" (2017),
        section 3.3.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.aspp import ASPP
        >>> ASPP(32, rates=(6, 12, 18), channels=8)(torch.rand(2, 32, 9, 9)).shape
        torch.Size([2, 8, 9, 9])
    """

    def __init__(
        self,
        inputs: int,
        rates: Sequence[int],
        channels: int = 256,
        *,
        dropout: float = 0.5,
        separable: bool = False,
    ) -> None:
        super().__init__()
        branches: list[nn.Module] = [conv_norm_relu(conv(1, inputs, channels), channels)]
        for rate in rates:
            convolution = (
                SeparableConv2d(inputs, channels, rate)
                if separable
                else conv(3, inputs, channels, dilation=rate)
            )
            branches.append(conv_norm_relu(convolution, channels))
        branches.append(ImagePooling(inputs, channels))
        self.convs = nn.ModuleList(branches)
        self.project = conv_norm_relu(conv(1, len(branches) * channels, channels), channels)
        self.project.append(nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, H, W]`` to ``[B, channels, H, W]``."""
        return self.project(torch.cat([branch(x) for branch in self.convs], dim=1))


class ImagePooling(nn.Sequential):
    """The mean of a map through a 1x1 convolution, at every position."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__(
            nn.AdaptiveAvgPool2d(1), *conv_norm_relu(conv(1, inputs, channels), channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        for layer in self:
            x = _normalised(layer, x) if isinstance(layer, nn.BatchNorm2d) else layer(x)
        # Not expanded: concatenated with others that is copied, and loses their memory format.
        return F.interpolate(x, size)


def _normalised(norm: nn.BatchNorm2d, means: Tensor) -> Tensor:
    """By the batch; of one image by the running statistics, for one mean alone has no variance."""
    if not norm.training or len(means) > 1:
        return norm(means)
    statistics = norm.running_mean, norm.running_var
    return F.batch_norm(means, *statistics, norm.weight, norm.bias, eps=norm.eps)
