"""MobileNetV1's convolutions as RetinaFace has them: three stages, leaky ReLU, no classifier."""

from __future__ import annotations

from torch import Tensor, nn

SLOPE = 0.1  # of the leaky ReLUs
# (channels, stride) of the separable convolutions after the stem, at a width of 1: table 1 of the
# paper. RetinaFace takes its maps after each stage.
STAGES = (
    ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)),
    ((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    ((1024, 2), (1024, 1)),
)
STEM = 32


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    slope: float | None = SLOPE,
) -> nn.Sequential:
    """Convolution, batch norm, and a leaky ReLU of that slope; None: no ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if slope is not None:
        layers.append(nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class MobileNetV1Trunk(nn.Module):
    """A stem and 13 separable convolutions in three stages; the keys are biubug6's.

    Args:
        width: multiplies the channels.

    Attributes:
        out_channels: channels of the three maps.

    Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
        Applications" (2017), table 1; with leaky ReLUs, as in Deng et al., "RetinaFace" (2020).

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.mobilenet_v1 import MobileNetV1Trunk
        >>> [tuple(x.shape) for x in MobileNetV1Trunk(0.25)(torch.rand(1, 3, 64, 96))]
        [(1, 64, 8, 12), (1, 128, 4, 6), (1, 256, 2, 3)]
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        inputs = int(STEM * width)
        stages: list[nn.Sequential] = []
        for blocks in STAGES:
            layers = [] if stages else [conv_norm(3, inputs, stride=2)]
            for channels, stride in blocks:
                outputs = int(channels * width)
                layers.append(
                    nn.Sequential(
                        *conv_norm(inputs, inputs, stride=stride, groups=inputs),
                        *conv_norm(inputs, outputs, kernel=1),
                    )
                )
                inputs = outputs
            stages.append(nn.Sequential(*layers))
        self.stage1, self.stage2, self.stage3 = stages
        self.out_channels = tuple(int(blocks[-1][0] * width) for blocks in STAGES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=SLOPE, mode="fan_out")

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of the three stages, ``[B, C_i, H / s_i, W / s_i]``, s = 8, 16, 32.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        c3 = self.stage1(images)
        c4 = self.stage2(c3)
        return [c3, c4, self.stage3(c4)]
