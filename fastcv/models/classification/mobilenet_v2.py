"""MobileNetV2: an ImageNet network of 3.5 million parameters, for phones."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._published import torchvision_weights
from fastcv.nn.backbones.mobilenet_v2 import LAST, mobilenet_v2_features, scale_channels


class MobileNetV2(Classifier):
    """The convolutions, the mean of their maps, one linear layer; torchvision's keys.

    Args:
        num_classes: logits.
        width: multiplies the channels; the paper's alpha.
        dropout: before the linear layer.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018).

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("mobilenet_v2", num_classes=10)
        >>> model(torch.rand(2, 3, 64, 96)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self, *, num_classes: int = 1000, width: float = 1.0, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.features = mobilenet_v2_features(width)
        linear = nn.Linear(scale_channels(LAST, max(1.0, width)), num_classes)
        self.classifier = nn.Sequential(nn.Dropout(dropout), linear)
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)
        self.classes = default_classes("imagenet", num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``."""
        return self.classifier(self.features(images).mean(dim=(2, 3)))


@register(
    "mobilenet_v2",
    task="classification",
    weights=[
        torchvision_weights(1, "mobilenet_v2-b0353104.pth", 71.878, 90.286),
        torchvision_weights(2, "mobilenet_v2-7ebf99e0.pth", 72.154, 90.822, resize=232),
    ],
)
def mobilenet_v2(**config: Any) -> MobileNetV2:
    """MobileNetV2; ``config``: what ``MobileNetV2`` takes."""
    return MobileNetV2(**config)
