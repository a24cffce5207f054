"""ZFNet: AlexNet looked into and mended, and what its deconvnet needs to look into it."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.nn.init import fill
from fastcv.nn.layers.local_response_norm import local_response_norm

MAP_SIZE = 6  # of the last feature map, in cells


class Switches(NamedTuple):
    """Where a max pool found its maxima, as ``F.max_unpool2d`` takes it.

    Args:
        indices: ``[B, C, h, w]`` int64, into the pool's input flattened over ``H, W``.
        size: ``(H, W)`` of the pool's input.
    """

    indices: Tensor
    size: tuple[int, int]


class ZFNet(Classifier):
    """Five convolutions, three fully connected layers; a finer first layer than AlexNet's.

    The order is the paper's: convolution, ReLU, pool, normalisation across channels. The pools
    take in the cells that are left over at the border (``ceil_mode``), which gives the figure's
    sizes: 110, 55, 26, 13, 6 of 224 pixels.

    Args:
        num_classes: logits.
        dropout: before the second and the third fully connected layer.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014),
        figure 3; weights start as in section 3: deviation 0.01, biases 0.

    Example:
        >>> import fastcv, torch
        >>> with torch.device("meta"):  # shapes alone: it has 58 million weights
        ...     model = fastcv.create_model("zfnet", num_classes=10)
        ...     logits = model(torch.rand(1, 3, 224, 224))
        >>> logits.shape
        torch.Size([1, 10])
    """

    def __init__(self, *, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, 7, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            local_response_norm(),
            nn.Conv2d(96, 256, 5, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            local_response_norm(),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
        )
        self.classifier = nn.Sequential(
            nn.Linear(256 * MAP_SIZE**2, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight, std=0.01)
                fill(module.bias)
        self.classes = default_classes("imagenet", num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``, as 224 x 224.

        Raises:
            ValueError: images of a size whose last maps are not 6 x 6.
        """
        maps = self.features(images)
        if maps.shape[-2:] != (MAP_SIZE, MAP_SIZE):
            raise ValueError(
                f"images must be 224 x 224 or give maps of 6 x 6 too, got {list(images.shape)}, "
                f"whose maps are {list(maps.shape[-2:])}"
            )
        return self.classifier(maps.flatten(1))

    def features_with_switches(self, images: Tensor) -> tuple[Tensor, list[Switches]]:
        """The last feature maps, and what a deconvnet needs to go back from them.

        Args:
            images: ``[B, 3, H, W]``, normalised.

        Returns:
            What ``features`` gives, ``[B, 256, h, w]``, and the switches of its three pools.

        Example:
            >>> import torch
            >>> from torch.nn import functional as F
            >>> from fastcv.models.classification.zfnet import ZFNet
            >>> maps, switches = ZFNet(num_classes=10).features_with_switches(
            ...     torch.rand(1, 3, 64, 64)
            ... )
            >>> indices, size = switches[-1]
            >>> maps.shape, F.max_unpool2d(maps, indices, 3, stride=2, output_size=size).shape
            (torch.Size([1, 256, 1, 1]), torch.Size([1, 256, 3, 3]))
        """
        x, switches = images, []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                size = (x.shape[-2], x.shape[-1])
                x, indices = F.max_pool2d(
                    x,
                    layer.kernel_size,
                    layer.stride,
                    ceil_mode=layer.ceil_mode,
                    return_indices=True,
                )
                switches.append(Switches(indices, size))
            else:
                x = layer(x)
        return x, switches


@register("zfnet", task="classification")
def zfnet(*, num_classes: int = 1000, **config: Any) -> ZFNet:
    """ZFNet; ``config``: what ``ZFNet`` takes."""
    return ZFNet(num_classes=num_classes, **config)
