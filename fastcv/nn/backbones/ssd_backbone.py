"""SSD's backbones: a trunk of another task, and smaller and smaller maps behind it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.init import fill


def extra_map(
    inputs: int, hidden: int, outputs: int, kernel: int, stride: int, padding: int
) -> nn.Sequential:
    """One map more: a 1x1 convolution to fewer channels, and one that makes the map smaller."""
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, outputs, kernel, stride, padding),
        nn.ReLU(inplace=True),
    )


def xavier(module: nn.Module) -> None:
    """Starts the convolutions in a module as SSD's are: Xavier's weights, no biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            fill(layer.bias)


# Channels in, between and out; kernel, stride and padding of the second convolution.
EXTRAS = {
    300: (
        (1024, 256, 512, 3, 2, 1),
        (512, 128, 256, 3, 2, 1),
        (256, 128, 256, 3, 1, 0),
        (256, 128, 256, 3, 1, 0),
    ),
    512: (
        (1024, 256, 512, 3, 2, 1),
        (512, 128, 256, 3, 2, 1),
        (256, 128, 256, 3, 2, 1),
        (256, 128, 256, 3, 2, 1),
        (256, 128, 256, 4, 1, 1),
    ),
}


class SSDVGG(nn.Module):
    """VGG-16 whose fully connected layers are convolutions, and SSD's maps behind it.

    The first map is conv4_3, each cell's features brought to length 20 at first, a scale that is
    learned by channel. ``fc6`` keeps 3 x 3 of VGG's 7 x 7 weights, with dilation 6, on a map that
    the fifth pool no longer halves.

    Args:
        size: 300 or 512, the input's sides in pixels.
        trainable_layers: how many of VGG's five stages are trained, from the last backwards.

    Attributes:
        out_channels: channels of the maps.

    Its keys are those of torchvision's SSD.

    Source: Liu et al., "SSD" (2016), section 2.1 and figure 2; Liu et al., "ParseNet" (2015), for
        the norm; SSD512: section 3.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.ssd_backbone import SSDVGG
        >>> with torch.device("meta"):
        ...     maps = SSDVGG(300)(torch.zeros(1, 3, 300, 300))
        >>> [tuple(x.shape[1:]) for x in maps.values()][:3]
        [(512, 38, 38), (1024, 19, 19), (512, 10, 10)]
    """

    def __init__(self, size: int, trainable_layers: int = 5) -> None:
        super().__init__()
        if size not in EXTRAS:
            raise ValueError(f"size must be one of {list(EXTRAS)}, got {size}")
        if not 0 <= trainable_layers <= 5:
            raise ValueError(f"trainable_layers must be 0 to 5, got {trainable_layers}")
        layers = list(VGGTrunk(16).features)
        pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        starts = [0, *pools[:4], len(layers)]
        for layer in layers[: starts[5 - trainable_layers]]:
            layer.requires_grad_(False)
        layers[pools[2]] = nn.MaxPool2d(2, ceil_mode=True)  # 75 x 75 to 38 x 38
        self.scale_weight = nn.Parameter(torch.full((512,), 20.0))
        self.features = nn.Sequential(*layers[: pools[3]])
        fc = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, 1),
            nn.ReLU(inplace=True),
        )
        extras = [extra_map(*extra) for extra in EXTRAS[size]]
        for module in (fc, *extras):
            xavier(module)
        self.extra = nn.ModuleList([nn.Sequential(*layers[pools[3] : -1], fc), *extras])
        self.out_channels = (512, 1024, *(outputs for _, _, outputs, *_ in EXTRAS[size]))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """``[B, 3, size, size]`` normalised to maps named ``0``, ``1`` and so on."""
        x = self.features(images)
        maps = [self.scale_weight.view(1, -1, 1, 1) * F.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return {str(i): x for i, x in enumerate(maps)}


class SSDResNet(nn.Module):
    """The last three stages of a ResNet, strides 8 to 32, and maps of strides 64 and 128.

    Args:
        trunk: the ResNet.
        channels: of the two maps.

    Attributes:
        out_channels: channels of the maps.
    """

    def __init__(self, trunk: ResNetTrunk, channels: int) -> None:
        super().__init__()
        self.body = trunk
        inputs: Sequence[int] = (trunk.out_channels[-1], channels)
        self.extra = nn.ModuleList(extra_map(n, channels // 2, channels, 3, 2, 1) for n in inputs)
        xavier(self.extra)
        self.out_channels = (*trunk.out_channels[1:], channels, channels)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """``[B, 3, H, W]`` normalised to maps named ``0`` to ``4``."""
        maps = self.body(images)[1:]
        for block in self.extra:
            maps.append(block(maps[-1]))
        return {str(i): x for i, x in enumerate(maps)}
