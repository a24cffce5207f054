"""VGG: nothing but 3x3 convolutions, and many of them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._published import torchvision_weights
from fastcv.nn.backbones.vgg import VGGTrunk


class VGG(VGGTrunk, Classifier):
    """The trunk, three fully connected layers on its last maps, brought to 7 x 7.

    It is the trunk and does not hold it, so that its keys are torchvision's.

    Args:
        depth: 11, 13, 16 or 19.
        num_classes: logits.
        batch_norm: a norm after each convolution.
        dropout: after the first and the second fully connected layer.

    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
        Recognition" (2015), table 1: A, B, D and E.

    Example:
        >>> import fastcv, torch
        >>> with torch.device("meta"):  # shapes alone: it has 133 million weights
        ...     model = fastcv.create_model("vgg11", num_classes=10)
        ...     logits = model(torch.rand(1, 3, 32, 48))
        >>> logits.shape
        torch.Size([1, 10])
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(depth, batch_norm=batch_norm)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        for layer in self.classifier:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        self.classes = default_classes("imagenet", num_classes)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]  # a trunk gives maps
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``, sides from 32."""
        maps = F.adaptive_avg_pool2d(self.features(images), 7)
        return self.classifier(maps.flatten(1))


@register(
    "vgg11",
    task="classification",
    weights=[torchvision_weights(1, "vgg11-8a719046.pth", 69.02, 88.628)],
)
def vgg11(**config: Any) -> VGG:
    """VGG-11, the paper's A; ``config``: what ``VGG`` takes but the depth and the norms."""
    return VGG(11, **config)


@register(
    "vgg11_bn",
    task="classification",
    weights=[torchvision_weights(1, "vgg11_bn-6002323d.pth", 70.37, 89.81)],
)
def vgg11_bn(**config: Any) -> VGG:
    """VGG-11 with batch norms."""
    return VGG(11, batch_norm=True, **config)


@register(
    "vgg13",
    task="classification",
    weights=[torchvision_weights(1, "vgg13-19584684.pth", 69.928, 89.246)],
)
def vgg13(**config: Any) -> VGG:
    """VGG-13, the paper's B."""
    return VGG(13, **config)


@register(
    "vgg13_bn",
    task="classification",
    weights=[torchvision_weights(1, "vgg13_bn-abd245e5.pth", 71.586, 90.374)],
)
def vgg13_bn(**config: Any) -> VGG:
    """VGG-13 with batch norms."""
    return VGG(13, batch_norm=True, **config)


@register(
    "vgg16",
    task="classification",
    weights=[torchvision_weights(1, "vgg16-397923af.pth", 71.592, 90.382)],
)
def vgg16(**config: Any) -> VGG:
    """VGG-16, the paper's D."""
    return VGG(16, **config)


@register(
    "vgg16_bn",
    task="classification",
    weights=[torchvision_weights(1, "vgg16_bn-6c64b313.pth", 73.36, 91.516)],
)
def vgg16_bn(**config: Any) -> VGG:
    """VGG-16 with batch norms."""
    return VGG(16, batch_norm=True, **config)


@register(
    "vgg19",
    task="classification",
    weights=[torchvision_weights(1, "vgg19-dcbb9e9d.pth", 72.376, 90.876)],
)
def vgg19(**config: Any) -> VGG:
    """VGG-19, the paper's E."""
    return VGG(19, **config)


@register(
    "vgg19_bn",
    task="classification",
    weights=[torchvision_weights(1, "vgg19_bn-c79401a0.pth", 74.218, 91.842)],
)
def vgg19_bn(**config: Any) -> VGG:
    """VGG-19 with batch norms."""
    return VGG(19, batch_norm=True, **config)
