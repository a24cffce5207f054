"""FCN: a classifier whose layers are all convolutions scores every place of an image at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.models.segmentation._take_over import take_over
from fastcv.nn.backbones.vgg import CONVOLUTIONS, VGGTrunk
from fastcv.nn.init import fill
from fastcv.nn.layers.transposed_conv import ConvTranspose2d, bilinear_kernel

PADDING = 100  # of the first convolution: an image of one pixel still fills the 7 x 7 of fc6


class FCN(Segmenter):
    """VGG-16 with its fully connected layers as convolutions: scores at a 32nd of the size.

    What the three nets share. Keys are ``features.N`` as torchvision's VGG-16 has them, then
    Caffe's names; ``conv1_1`` and so on load, too.

    Args:
        num_classes: scores, the background's included.
        width: channels of the first stage; VGG-16 has 64. ``fc6`` and ``fc7`` get 64 times it.
        dropout: after ``fc6`` and ``fc7``.

    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation" (2015), sections
        3 and 4; padding and offsets are those of the published nets.
    """

    # As VGG-16's Caffe weights, and all FCN's that came of them, take their images.
    preprocessing: Mapping[str, Any] = {
        "channel_order": "bgr",
        "mean": (104.00698793 / 255, 116.66876762 / 255, 122.67891434 / 255),
        "std": (1 / 255, 1 / 255, 1 / 255),
    }

    def __init__(self, *, num_classes: int = 21, width: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        trunk = VGGTrunk(16, width=width)
        self.features = trunk.features
        first = self.features[0]
        assert isinstance(first, nn.Conv2d)
        first.padding = (PADDING, PADDING)
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        _, _, pool3, pool4, pool5 = trunk.out_channels
        self.pool_channels = {"pool3": pool3, "pool4": pool4}
        self.fc6 = nn.Conv2d(pool5, 64 * width, 7)
        self.fc7 = nn.Conv2d(64 * width, 64 * width, 1)
        for layer in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            fill(layer.bias)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.score_fr = _score(64 * width, num_classes)
        self.classes = default_classes("voc", num_classes)

    def scores(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The classes' scores at a 32nd of the size, and the maps after the third and fourth pool.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        x, pools = images, []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                pools.append(x)
        x = self.dropout(self.relu(self.fc6(x)))
        x = self.dropout(self.relu(self.fc7(x)))
        return self.score_fr(x), pools[2], pools[3]

    def rename_key(self, key: str) -> str:
        """``conv1_1`` and so on, as Caffe calls them, to their places in ``features``."""
        match = re.fullmatch(r"conv(\d)_(\d)\.(weight|bias)", key)
        if match is None:
            return key
        stage, place = int(match[1]), int(match[2])
        # A convolution is two layers, with its ReLU, and a stage ends in a pool.
        before = sum(2 * count + 1 for count in CONVOLUTIONS[16][: stage - 1])
        return f"features.{before + 2 * (place - 1)}.{match[3]}"

    def start_from(self, trained: nn.Module) -> None:
        """Takes over what a VGG-16 classifier, or a coarser FCN, has learned.

        Of a classifier: all but its last layer, and how it normalises images; the fully connected
        layers become ``fc6`` and ``fc7``. Of an FCN: all that this one has, too. Scores of another
        number of classes start anew.

        Args:
            trained: ``create_model("vgg16", weights=...)``, torchvision's, or an ``FCN``; as wide.

        Raises:
            ValueError: another kind of model, or one of another width.

        Source: Long et al. (2015), sections 4.1 and 4.2.

        Example:
            >>> import fastcv
            >>> coarse = fastcv.create_model("fcn32s_vgg16", width=1)
            >>> fine = fastcv.create_model("fcn16s_vgg16", width=1)
            >>> fine.start_from(coarse)
            >>> bool((fine.fc6.weight == coarse.fc6.weight).all())
            True
        """
        take_over(self, trained, new=("score", "upscore"))
        preprocessing = getattr(trained, "preprocessing", Segmenter.preprocessing)
        known = ("channel_order", "mean", "std")
        self.preprocessing = {key: preprocessing[key] for key in known if key in preprocessing}


class FCN32s(FCN):
    """The scores, enlarged 32 times.

    Args: those of ``FCN``.

    Source: Long et al. (2015), figure 3.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("fcn32s_vgg16", width=1)
        >>> model(torch.rand(1, 3, 33, 50)).shape
        torch.Size([1, 21, 33, 50])
    """

    def __init__(self, *, num_classes: int = 21, **config: Any) -> None:
        super().__init__(num_classes=num_classes, **config)
        self.upscore = _upscore(num_classes, 32, fixed=True)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``[B, num_classes, H, W]`` of normalised images ``[B, 3, H, W]``, of any size."""
        score, _, _ = self.scores(images)
        return _crop(self.upscore(score), 19, images)


class FCN16s(FCN):
    """The scores enlarged twice, those of the fourth pool added, enlarged 16 times.

    Args: those of ``FCN``.

    Source: Long et al. (2015), figure 3.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("fcn16s_vgg16", width=1)
        >>> model(torch.rand(1, 3, 33, 50)).shape
        torch.Size([1, 21, 33, 50])
    """

    def __init__(self, *, num_classes: int = 21, **config: Any) -> None:
        super().__init__(num_classes=num_classes, **config)
        self.score_pool4 = _score(self.pool_channels["pool4"], num_classes)
        self.upscore2 = _upscore(num_classes, 2)
        self.upscore16 = _upscore(num_classes, 16, fixed=True)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``[B, num_classes, H, W]`` of normalised images ``[B, 3, H, W]``, of any size."""
        score, _, pool4 = self.scores(images)
        score = self.upscore2(score)
        score = score + _crop(self.score_pool4(pool4), 5, score)
        return _crop(self.upscore16(score), 27, images)


class FCN8s(FCN):
    """As FCN-16s, but the sum is enlarged twice, those of the third pool are added, then 8 times.

    Args: those of ``FCN``, and
        at_once: multiply the fourth pool's maps by 0.01 and the third's by 0.0001, as the net does
            that was trained in one go and not in the stages 32, 16, 8; its checkpoints need it.

    Source: Long et al. (2015), figure 3; at once: Shelhamer et al. (2017), as published.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("fcn8s_vgg16", width=1)
        >>> model(torch.rand(1, 3, 33, 50)).shape
        torch.Size([1, 21, 33, 50])
    """

    def __init__(self, *, num_classes: int = 21, at_once: bool = False, **config: Any) -> None:
        super().__init__(num_classes=num_classes, **config)
        self.scale_pool4, self.scale_pool3 = (0.01, 0.0001) if at_once else (1.0, 1.0)
        self.score_pool4 = _score(self.pool_channels["pool4"], num_classes)
        self.score_pool3 = _score(self.pool_channels["pool3"], num_classes)
        self.upscore2 = _upscore(num_classes, 2)
        self.upscore_pool4 = _upscore(num_classes, 2)
        self.upscore8 = _upscore(num_classes, 8, fixed=True)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``[B, num_classes, H, W]`` of normalised images ``[B, 3, H, W]``, of any size."""
        score, pool3, pool4 = self.scores(images)
        score = self.upscore2(score)
        score = score + _crop(self.score_pool4(pool4 * self.scale_pool4), 5, score)
        score = self.upscore_pool4(score)
        score = score + _crop(self.score_pool3(pool3 * self.scale_pool3), 9, score)
        return _crop(self.upscore8(score), 31, images)


def _score(channels: int, num_classes: int) -> nn.Conv2d:
    """Scores by a 1x1 convolution, which start at zero: every class is as likely."""
    layer = nn.Conv2d(channels, num_classes, 1)
    fill(layer.weight)
    fill(layer.bias)
    return layer


def _upscore(num_classes: int, factor: int, *, fixed: bool = False) -> ConvTranspose2d:
    """Enlarges each class's scores, bilinearly at first; the last of a net is not trained."""
    layer = ConvTranspose2d(num_classes, num_classes, 2 * factor, factor, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        for label in range(num_classes):
            layer.weight[label, label] = bilinear_kernel(1, 2 * factor)[0, 0]
    return layer.requires_grad_(not fixed)


def _crop(x: Tensor, offset: int, like: Tensor) -> Tensor:
    """The part of ``like``'s height and width that begins at ``offset``."""
    height, width = like.shape[-2:]
    return x[..., offset : offset + height, offset : offset + width]


@register("fcn32s_vgg16", task="segmentation")
def fcn32s_vgg16(**config: Any) -> FCN32s:
    """FCN-32s on VGG-16; ``config``: what ``FCN`` takes."""
    return FCN32s(**config)


@register("fcn16s_vgg16", task="segmentation")
def fcn16s_vgg16(**config: Any) -> FCN16s:
    """FCN-16s on VGG-16; ``config``: what ``FCN`` takes."""
    return FCN16s(**config)


@register("fcn8s_vgg16", task="segmentation")
def fcn8s_vgg16(**config: Any) -> FCN8s:
    """FCN-8s on VGG-16; ``config``: what ``FCN8s`` takes."""
    return FCN8s(**config)
