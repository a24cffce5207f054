"""AlexNet: the network that began it, as it was and as it is used today."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._published import torchvision_weights
from fastcv.nn.backbones.alexnet import (
    CHANNELS,
    MAP_SIZE,
    alexnet_features,
    alexnet_grouped_features,
)
from fastcv.nn.init import fill


class AlexNet(Classifier):
    """Five convolutions, three fully connected layers.

    Args:
        features: from images to maps of 256 channels.
        num_classes: logits.
        adaptive_pool: bring maps of any size to 6 x 6 by averaging. Without it only images whose
            maps are 6 x 6 will do, such as 224 x 224.
        dropout: before the first and the second fully connected layer.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks"
        (2012), figure 2.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("alexnet", num_classes=10)
        >>> model(torch.rand(1, 3, 80, 96)).shape
        torch.Size([1, 10])
    """

    def __init__(
        self,
        features: nn.Sequential,
        *,
        num_classes: int = 1000,
        adaptive_pool: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(MAP_SIZE) if adaptive_pool else nn.Identity()
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(CHANNELS * MAP_SIZE**2, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )
        self.classes = default_classes("imagenet", num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``, sides from 63.

        Raises:
            ValueError: without ``adaptive_pool``, images of a size whose maps are not 6 x 6.
        """
        maps = self.avgpool(self.features(images))
        if maps.shape[-2:] != (MAP_SIZE, MAP_SIZE):
            raise ValueError(
                f"images must be 224 x 224 or give maps of 6 x 6 too, got {list(images.shape)}, "
                f"whose maps are {list(maps.shape[-2:])}; adaptive_pool=True takes any size"
            )
        return self.classifier(maps.flatten(1))


@register(
    "alexnet",
    task="classification",
    weights=[
        torchvision_weights(1, "alexnet-owt-7be5be79.pth", 56.522, 79.066),
    ],
)
def alexnet(*, num_classes: int = 1000, **config: Any) -> AlexNet:
    """Today's AlexNet: one stream, narrower, no normalisation; torchvision's keys.

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014).
    """
    return AlexNet(alexnet_features(), num_classes=num_classes, **config)


@register("alexnet_grouped", task="classification")
def alexnet_grouped(*, num_classes: int = 1000, **config: Any) -> AlexNet:
    """The paper's AlexNet: two groups where it had two GPUs, response normalisation.

    Weights start as in its section 5: deviation 0.01, and biases of 1 where a ReLU should be alive
    from the beginning.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks"
        (2012).
    """
    model = AlexNet(alexnet_grouped_features(), num_classes=num_classes, **config)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for layer, bias in zip(layers, (0, 1, 0, 1, 1, 1, 1, 0), strict=True):
        nn.init.normal_(layer.weight, std=0.01)
        fill(layer.bias, bias)
    return model
