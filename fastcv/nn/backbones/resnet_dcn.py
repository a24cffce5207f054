"""ResNet with deformable convolutions on the way up, to one map of stride 4."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.layers.deform_conv import DeformConv2dPack
from fastcv.nn.layers.transposed_conv import ConvTranspose2d


class ResNetDCN(ResNetTrunk):
    """A ResNet, and three times a 3x3 deformable convolution and a transposed one of stride 2.

    Args:
        depth: 18, 34, 50, 101 or 152.
        up_channels: channels on the way up, from stride 32 to 16, 8 and 4.
        width: channels of the ResNet's first stage.

    Attributes:
        map_channels: channels of the map.
        size_divisible: the images' sides must be multiples of it.

    Source: Zhou et al., "Objects as Points" (2019), figure 6b; after Xiao et al., "Simple Baselines
        for Human Pose Estimation and Tracking" (2018).

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.resnet_dcn import ResNetDCN
        >>> network = ResNetDCN(18, up_channels=(16, 8, 8), width=8)
        >>> [tuple(x.shape) for x in network(torch.rand(1, 3, 64, 96))]
        [(1, 8, 16, 24)]
    """

    size_divisible = 32
    stacks = 1

    def __init__(
        self, depth: int, *, up_channels: Sequence[int] = (256, 128, 64), width: int = 64
    ) -> None:
        super().__init__(depth, width=width)
        layers: list[nn.Module] = []
        inputs = self.out_channels[-1]
        for outputs in up_channels:
            layers += [
                DeformConv2dPack(inputs, outputs, 3, padding=1, mask_scale=1.0),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
                ConvTranspose2d(outputs, outputs, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
            inputs = outputs
        self.deconv_layers = nn.Sequential(*layers)
        self.map_channels = inputs

    def forward(self, images: Tensor) -> list[Tensor]:
        """``[B, up_channels[-1], H / 4, W / 4]``, in a list of one.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        return [self.deconv_layers(self.stages(images)[-1])]
