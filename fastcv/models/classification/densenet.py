"""DenseNet: every layer of a block reads what all layers before it made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._published import torchvision_weights


class DenseLayer(nn.Module):
    """From all maps so far, ``growth`` new channels: norm, ReLU, 1x1; norm, ReLU, 3x3."""

    def __init__(
        self, inputs: int, growth: int, bottleneck: int, dropout: float, memory_efficient: bool
    ) -> None:
        super().__init__()
        width = bottleneck * growth
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, growth, 3, padding=1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.memory_efficient = memory_efficient

    def _bottleneck(self, *maps: Tensor) -> Tensor:
        return self.conv1(self.relu(self.norm1(torch.cat(maps, dim=1))))

    def forward(self, maps: list[Tensor]) -> Tensor:
        if self.memory_efficient and self.training:
            # The concatenation and its norm, quadratic in the depth, are made again in backward;
            # the norm's statistics have seen them then.
            contexts = nullcontext(), _without_statistics(self.norm1)
            out = checkpoint(
                self._bottleneck, *maps, use_reentrant=False, context_fn=lambda: contexts
            )
        else:
            out = self._bottleneck(*maps)
        return self.dropout(self.conv2(self.relu(self.norm2(out))))


@contextmanager
def _without_statistics(norm: nn.BatchNorm2d) -> Iterator[None]:
    """What the norm gathers inside is thrown away."""
    buffers = dict(norm.named_buffers())
    for name, buffer in buffers.items():
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for name, buffer in buffers.items():
            setattr(norm, name, buffer)


class DenseBlock(nn.ModuleDict):
    """Layers in a row; all that they made, and the input, side by side."""

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return torch.cat(maps, dim=1)


class Transition(nn.Sequential):
    """Half the channels, half the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        # The paper convolves, then pools: both are linear, and this order is a quarter the work.
        return self.conv(self.pool(self.relu(self.norm(x))))


class DenseNet(Classifier):
    """DenseNet-BC: dense blocks, between them transitions that halve.

    Its keys are torchvision's; those of old checkpoints (``denselayer1.norm.1``) load too.

    Args:
        layers: of each of the blocks.
        growth: channels that each layer adds, the paper's k.
        width: channels of the stem.
        bottleneck: the 1x1 convolutions make this times ``growth`` channels.
        dropout: after each layer; the paper has 0.2 where data is not augmented.
        memory_efficient: keep less for the gradient, and compute it again: the same gradients with
            memory that grows with the depth and not with its square, in more time.
        num_classes: logits.

    Source: Huang et al., "Densely Connected Convolutional Networks" (2017), table 1; Pleiss et
        al., "Memory-Efficient Implementation of DenseNets" (2017).

    Example:
        >>> import torch
        >>> from fastcv.models.classification.densenet import DenseNet
        >>> model = DenseNet((2, 2, 2, 2), growth=4, width=8, num_classes=10)
        >>> model(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """

    def __init__(
        self,
        layers: tuple[int, ...],
        *,
        growth: int = 32,
        width: int = 64,
        bottleneck: int = 4,
        dropout: float = 0.0,
        memory_efficient: bool = False,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.conv0 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.features.norm0 = nn.BatchNorm2d(width)
        self.features.relu0 = nn.ReLU(inplace=True)
        self.features.pool0 = nn.MaxPool2d(3, stride=2, padding=1)
        channels = width
        for i, number in enumerate(layers, start=1):
            if i > 1:
                transition = Transition(channels, channels // 2)
                self.features.add_module(f"transition{i - 1}", transition)
                channels //= 2
            block = DenseBlock()
            for j in range(1, number + 1):
                block[f"denselayer{j}"] = DenseLayer(
                    channels, growth, bottleneck, dropout, memory_efficient
                )
                channels += growth
            self.features.add_module(f"denseblock{i}", block)
        self.features.norm5 = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, num_classes)
        self.classes = default_classes("imagenet", num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def rename_key(self, key: str) -> str:
        return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", key)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``."""
        return self.classifier(F.relu(self.features(images), inplace=True).mean(dim=(2, 3)))


@register(
    "densenet121",
    task="classification",
    weights=[torchvision_weights(1, "densenet121-a639ec97.pth", 74.434, 91.972)],
)
def densenet121(*, num_classes: int = 1000, **config: Any) -> DenseNet:
    """DenseNet-121; ``config``: what ``DenseNet`` takes."""
    return DenseNet((6, 12, 24, 16), num_classes=num_classes, **config)


@register(
    "densenet161",
    task="classification",
    weights=[torchvision_weights(1, "densenet161-8d451a50.pth", 77.138, 93.56)],
)
def densenet161(*, num_classes: int = 1000, **config: Any) -> DenseNet:
    """DenseNet-161, the wide one; ``config``: what ``DenseNet`` takes."""
    config = {"growth": 48, "width": 96, **config}
    return DenseNet((6, 12, 36, 24), num_classes=num_classes, **config)


@register(
    "densenet169",
    task="classification",
    weights=[torchvision_weights(1, "densenet169-b2777c0a.pth", 75.6, 92.806)],
)
def densenet169(*, num_classes: int = 1000, **config: Any) -> DenseNet:
    """DenseNet-169; ``config``: what ``DenseNet`` takes."""
    return DenseNet((6, 12, 32, 32), num_classes=num_classes, **config)


@register(
    "densenet201",
    task="classification",
    weights=[torchvision_weights(1, "densenet201-c1103571.pth", 76.896, 93.37)],
)
def densenet201(*, num_classes: int = 1000, **config: Any) -> DenseNet:
    """DenseNet-201; ``config``: what ``DenseNet`` takes."""
    return DenseNet((6, 12, 48, 32), num_classes=num_classes, **config)
