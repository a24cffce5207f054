"""ResNet: residual blocks, so that a network may be as deep as one likes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._published import torchvision_weights
from fastcv.nn.backbones.resnet import ResNetTrunk


class ResNet(ResNetTrunk, Classifier):
    """The trunk, the mean over its last map, one linear layer.

    It is the trunk and does not hold it, so that its keys are torchvision's.

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_classes: logits.
        trunk: what ``ResNetTrunk`` takes.

    Source: He et al., "Deep Residual Learning for Image Recognition" (2016).

    Example:
        >>> import torch
        >>> from fastcv.models.classification.resnet import ResNet
        >>> model = ResNet(18, num_classes=10, width=8)
        >>> logits = model(torch.rand(2, 3, 64, 64))
        >>> logits.shape, list(model.loss(logits, torch.tensor([3, 9])))
        (torch.Size([2, 10]), ['cross_entropy'])
    """

    def __init__(self, depth: int, *, num_classes: int = 1000, **trunk: Any) -> None:
        super().__init__(depth, **trunk)
        self.fc = nn.Linear(self.out_channels[-1], num_classes)
        self.classes = default_classes("imagenet", num_classes)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]  # a trunk gives maps
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``."""
        return self.fc(self.stages(images)[-1].mean(dim=(2, 3)))


@register(
    "resnet18",
    task="classification",
    weights=[
        torchvision_weights(1, "resnet18-f37072fd.pth", 69.758, 89.078),
    ],
)
def resnet18(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """ResNet-18; ``trunk``: what ``ResNetTrunk`` takes."""
    return ResNet(18, num_classes=num_classes, **trunk)


@register(
    "resnet34",
    task="classification",
    weights=[
        torchvision_weights(1, "resnet34-b627a593.pth", 73.314, 91.42),
    ],
)
def resnet34(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """ResNet-34; ``trunk``: what ``ResNetTrunk`` takes."""
    return ResNet(34, num_classes=num_classes, **trunk)


RESNET50_WEIGHTS = (
    torchvision_weights(1, "resnet50-0676ba61.pth", 76.13, 92.862),
    torchvision_weights(2, "resnet50-11ad3fa6.pth", 80.858, 95.434, resize=232),
)


@register("resnet50", task="classification", weights=RESNET50_WEIGHTS)
def resnet50(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """ResNet-50; ``trunk``: what ``ResNetTrunk`` takes."""
    return ResNet(50, num_classes=num_classes, **trunk)


@register(
    "resnet101",
    task="classification",
    weights=[
        torchvision_weights(1, "resnet101-63fe2227.pth", 77.374, 93.546),
        torchvision_weights(2, "resnet101-cd907fc2.pth", 81.886, 95.78, resize=232),
    ],
)
def resnet101(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """ResNet-101; ``trunk``: what ``ResNetTrunk`` takes."""
    return ResNet(101, num_classes=num_classes, **trunk)


@register(
    "resnet152",
    task="classification",
    weights=[
        torchvision_weights(1, "resnet152-394f9c45.pth", 78.312, 94.046),
        torchvision_weights(2, "resnet152-f82ba261.pth", 82.284, 96.002, resize=232),
    ],
)
def resnet152(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """ResNet-152; ``trunk``: what ``ResNetTrunk`` takes."""
    return ResNet(152, num_classes=num_classes, **trunk)


@register(
    "resnext50_32x4d",
    task="classification",
    weights=[
        torchvision_weights(1, "resnext50_32x4d-7cdf4587.pth", 77.618, 93.698),
        torchvision_weights(2, "resnext50_32x4d-1a0047aa.pth", 81.198, 95.34, resize=232),
    ],
)
def resnext50_32x4d(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """ResNeXt-50: 32 groups, of 4 channels in the first stage (Xie et al., 2017)."""
    return ResNet(50, num_classes=num_classes, groups=32, width_per_group=4, **trunk)


@register(
    "resnext101_32x8d",
    task="classification",
    weights=[
        torchvision_weights(1, "resnext101_32x8d-8ba56ff5.pth", 79.312, 94.526),
        torchvision_weights(2, "resnext101_32x8d-110c445d.pth", 82.834, 96.228, resize=232),
    ],
)
def resnext101_32x8d(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """ResNeXt-101: 32 groups, of 8 channels in the first stage."""
    return ResNet(101, num_classes=num_classes, groups=32, width_per_group=8, **trunk)


@register(
    "resnext101_64x4d",
    task="classification",
    weights=[
        torchvision_weights(1, "resnext101_64x4d-173b62eb.pth", 83.246, 96.454, resize=232),
    ],
)
def resnext101_64x4d(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """ResNeXt-101: 64 groups, of 4 channels in the first stage."""
    return ResNet(101, num_classes=num_classes, groups=64, width_per_group=4, **trunk)


@register(
    "wide_resnet50_2",
    task="classification",
    weights=[
        torchvision_weights(1, "wide_resnet50_2-95faca4d.pth", 78.468, 94.086),
        torchvision_weights(2, "wide_resnet50_2-9ba9bcbe.pth", 81.602, 95.758, resize=232),
    ],
)
def wide_resnet50_2(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """Wide ResNet-50-2: 3x3 convolutions twice as wide (Zagoruyko and Komodakis, 2016)."""
    return ResNet(50, num_classes=num_classes, width_per_group=128, **trunk)


@register(
    "wide_resnet101_2",
    task="classification",
    weights=[
        torchvision_weights(1, "wide_resnet101_2-32ee1156.pth", 78.848, 94.284),
        torchvision_weights(2, "wide_resnet101_2-d733dc28.pth", 82.51, 96.02, resize=232),
    ],
)
def wide_resnet101_2(*, num_classes: int = 1000, **trunk: Any) -> ResNet:
    """Wide ResNet-101-2: 3x3 convolutions twice as wide."""
    return ResNet(101, num_classes=num_classes, width_per_group=128, **trunk)
