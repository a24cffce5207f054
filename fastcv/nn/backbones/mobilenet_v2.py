"""MobileNetV2's convolutions: blocks that are wide inside and narrow at their ends."""

from __future__ import annotations

from torch import Tensor, nn

# Table 2 of the paper: expansion t, channels c, blocks n, stride s of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STEM, LAST = 32, 1280  # channels of the first and of the last convolution


def scale_channels(channels: int, width: float) -> int:
    """The multiple of 8 nearest to ``channels * width``, the next one where that loses over 10 %.

    Example:
        >>> scale_channels(32, 1.1), scale_channels(80, 1.2), scale_channels(11, 1.0)
        (32, 96, 16)
    """
    scaled = channels * width
    nearest = max(8, int(scaled + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * scaled else nearest


def conv_norm(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU up to 6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Widen by 1x1, convolve each channel on its own, narrow by 1x1 without a ReLU.

    Where the shapes agree, the input is added: the shortcut joins the narrow ends, which a
    residual block of ResNet has wide.

    Args:
        inputs: channels.
        outputs: channels.
        expansion: the channels inside are this times ``inputs``; at 1 nothing widens.
        stride: of the middle convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.conv = nn.Sequential(
            *([conv_norm(inputs, width, 1)] if expansion != 1 else []),
            conv_norm(width, width, 3, stride=stride, groups=width),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds_input else self.conv(x)


def mobilenet_v2_features(width: float = 1.0) -> nn.Sequential:
    """A stem, 17 blocks, a 1x1 convolution; torchvision's order and keys.

    From ``[B, 3, H, W]`` to maps at a 32nd of the size, of 1280 channels, or of ``width`` times as
    many where that is more.

    Args:
        width: multiplies the channels, which become multiples of 8.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018),
        table 2.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.mobilenet_v2 import mobilenet_v2_features
        >>> mobilenet_v2_features(0.25)(torch.rand(1, 3, 64, 96)).shape
        torch.Size([1, 1280, 2, 3])
    """
    inputs = scale_channels(STEM, width)
    layers: list[nn.Module] = [conv_norm(3, inputs, 3, stride=2)]
    for expansion, channels, blocks, stride in STAGES:
        outputs = scale_channels(channels, width)
        for i in range(blocks):
            step = stride if i == 0 else 1
            layers.append(InvertedResidual(inputs, outputs, expansion=expansion, stride=step))
            inputs = outputs
    layers.append(conv_norm(inputs, scale_channels(LAST, max(1.0, width)), 1))
    features = nn.Sequential(*layers)
    for module in features.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return features


class MobileNetV2Trunk(nn.Module):
    """MobileNetV2 as a trunk: maps at an 8th, a 16th and a 32nd of the size.

    Its ``layers`` are the stem, the seven stages of table 2, and the last 1x1 convolution, as in
    haotian-liu/yolact_edge. What lies behind the last map is there for the keys alone.

    Args:
        width: multiplies the channels, which become multiples of 8.

    Attributes:
        out_channels: channels of the three maps.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018),
        table 2.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.mobilenet_v2 import MobileNetV2Trunk
        >>> trunk = MobileNetV2Trunk(0.5)
        >>> [tuple(x.shape) for x in trunk(torch.rand(1, 3, 64, 96))]
        [(1, 16, 8, 12), (1, 32, 4, 6), (1, 80, 2, 3)]
    """

    ends = (3, 4, 6)  # of `layers`: the last ones of their size that the maps are taken from

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        stem, *blocks, last = mobilenet_v2_features(width)
        stages, first = [], 0
        for _, _, count, _ in STAGES:
            stages.append(nn.Sequential(*blocks[first : first + count]))
            first += count
        self.layers = nn.ModuleList([stem, *stages, last])
        self.out_channels = tuple(scale_channels(STAGES[end - 1][1], width) for end in self.ends)

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.maps(images, len(self.ends))

    def maps(self, images: Tensor, count: int) -> list[Tensor]:
        """The first maps alone, finest first, and no more work than they need."""
        x, found = images, []
        for i, layer in enumerate(self.layers[: self.ends[count - 1] + 1]):
            x = layer(x)
            if i in self.ends:
                found.append(x)
        return found
