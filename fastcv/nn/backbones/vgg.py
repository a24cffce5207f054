"""The VGG trunk: five stages of 3x3 convolutions, a 2x2 max pool after each."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.nn.init import fill

CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
GROWTH = (1, 2, 4, 8, 8)  # of the channels, by stage


class VGGTrunk(nn.Module):
    """VGG without its classifier; the keys of its state are torchvision's (``features.N``).

    Args:
        depth: 11, 13, 16 or 19.
        batch_norm: a norm after each convolution.
        width: channels of the first stage; each doubles them, up to eight times as many.

    Attributes:
        out_channels: channels of the five feature maps.

    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks" (2015), table 1.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.vgg import VGGTrunk
        >>> [tuple(x.shape) for x in VGGTrunk(11)(torch.rand(1, 3, 32, 32))]
        [(1, 64, 32, 32), (1, 128, 16, 16), (1, 256, 8, 8), (1, 512, 4, 4), (1, 512, 2, 2)]
    """

    def __init__(self, depth: int, *, batch_norm: bool = False, width: int = 64) -> None:
        super().__init__()
        if depth not in CONVOLUTIONS:
            raise ValueError(f"depth must be one of {list(CONVOLUTIONS)}, got {depth}")
        layers: list[nn.Module] = []
        inputs = 3
        self.out_channels = tuple(width * growth for growth in GROWTH)
        for convolutions, channels in zip(CONVOLUTIONS[depth], self.out_channels, strict=True):
            for _ in range(convolutions):
                layers.append(nn.Conv2d(inputs, channels, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU(inplace=True))
                inputs = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                fill(module.bias)

    def stages(self, images: Tensor) -> list[Tensor]:
        """The feature maps before each pool, ``[B, C_i, H / s_i, W / s_i]``, s = 1, 2, 4, 8, 16.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        x, maps = images, []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
                if len(maps) == len(self.out_channels):
                    break  # the last pool belongs to the classifier
            x = layer(x)
        return maps

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.stages(images)


class VGGBackbone(nn.Module):
    """VGG up to its last convolution: one feature map, stride 16, of 512 channels."""

    def __init__(self, trunk: VGGTrunk) -> None:
        super().__init__()
        self.features = trunk.features[:-1]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"0": self.features(images)}
