"""EfficientNet: one small network, scaled in width, depth and resolution at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models._weights import Weights
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._efficientnet_keys import torchvision_key
from fastcv.models.classification._published import timm_weights, torchvision_weights
from fastcv.nn.backbones.mobilenet_v2 import scale_channels
from fastcv.nn.layers.same_conv import SameConv2d
from fastcv.nn.layers.squeeze_excitation import SqueezeExcitation
from fastcv.nn.layers.stochastic_depth import StochasticDepth

Norm = Callable[[int], nn.Module]
LITE_PREPROCESSING = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}


class Scaling(NamedTuple):
    """By what B0 is multiplied, and the side of its input in pixels."""

    width: float
    depth: float
    resolution: int


def compound_scaling(phi: float) -> Scaling:
    """What the paper's rule makes of B0: some 2 ** phi times the operations.

    Depth grows as 1.2 ** phi, width as 1.1 ** phi, resolution as 1.15 ** phi, which B0 found by a
    search under 1.2 * 1.1 ** 2 * 1.15 ** 2 = 2 (nearly). The published B1 to B7 were rounded by
    hand from here: ``SCALINGS`` has them.

    Source: Tan and Le, "EfficientNet" (2019), equation 3.

    Example:
        >>> compound_scaling(0)
        Scaling(width=1.0, depth=1.0, resolution=224)
        >>> compound_scaling(5), SCALINGS[5]
        (Scaling(width=1.61..., depth=2.48..., resolution=451), Scaling(width=1.6, depth=2.2,
        resolution=456))
    """
    return Scaling(1.1**phi, 1.2**phi, round(224 * 1.15**phi))


SCALINGS = (
    Scaling(1.0, 1.0, 224),
    Scaling(1.0, 1.1, 240),
    Scaling(1.1, 1.2, 260),
    Scaling(1.2, 1.4, 300),
    Scaling(1.4, 1.8, 380),
    Scaling(1.6, 2.2, 456),
    Scaling(1.8, 2.6, 528),
    Scaling(2.0, 3.1, 600),
)
"""B0 to B7, as published."""

# Table 1 of the paper: expansion, kernel, stride of the first block, channels, blocks.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def scale_blocks(blocks: int, depth: float) -> int:
    """``blocks * depth``, rounded up.

    Example:
        >>> scale_blocks(3, 1.2)
        4
    """
    return math.ceil(blocks * depth)


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int,
    norm: Norm,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: bool = True,
    lite: bool = False,
) -> nn.Sequential:
    """Convolution, batch norm, swish; in Lite padded as TensorFlow does, and ReLU up to 6."""
    convolution: nn.Module
    if lite:
        convolution = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    else:
        convolution = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
    layers = [convolution, norm(outputs)]
    if activation:
        layers.append(nn.ReLU6(inplace=True) if lite else nn.SiLU(inplace=True))
    return nn.Sequential(*layers)


swish = partial(nn.SiLU, inplace=True)


class MBConv(nn.Module):
    """Widen, convolve each channel on its own, gate, narrow; and add the input where it fits.

    Lite's has no gate.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        expansion: int,
        kernel: int,
        stride: int,
        stochastic_depth: float,
        norm: Norm,
        *,
        lite: bool = False,
    ) -> None:
        super().__init__()
        width = inputs * expansion
        self.block = nn.Sequential(
            *([conv_norm(inputs, width, 1, norm, lite=lite)] if expansion != 1 else []),
            conv_norm(width, width, kernel, norm, stride=stride, groups=width, lite=lite),
            *([] if lite else [SqueezeExcitation(width, inputs // 4, swish)]),
            conv_norm(width, outputs, 1, norm, activation=False, lite=lite),
        )
        self.stochastic_depth = StochasticDepth(stochastic_depth)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = self.block(x)
        return self.stochastic_depth(out) + x if self.adds_input else out


class EfficientNet(Classifier):
    """B0, scaled: a stem, seven stages of MBConv, a 1x1 convolution, mean and linear layer.

    Its keys are torchvision's. timm's (``conv_stem``, ``blocks.1.0.conv_pw``) and lukemelas's
    (``_conv_stem``, ``_blocks.1._expand_conv``) load too.

    Args:
        scaling: width, depth and resolution, such as ``compound_scaling(2.5)``.
        num_classes: logits.
        dropout: before the last layer.
        stochastic_depth: of the last block; it grows linearly from 0 at the first.
        norm_eps: of the batch norms; 1e-3 in the paper's own checkpoints.
        norm_momentum: of the batch norms; 0.01 there.
        lite: the form for phones: ReLU6 in place of swish, no gates, TensorFlow's padding.

    Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
        (2019).

    Example:
        >>> import torch
        >>> from fastcv.models.classification.efficientnet import EfficientNet, Scaling
        >>> model = EfficientNet(Scaling(0.25, 0.5, 64), num_classes=10)
        >>> model(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """

    def __init__(
        self,
        scaling: Scaling,
        *,
        num_classes: int = 1000,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
        lite: bool = False,
    ) -> None:
        super().__init__()
        self.lite = lite
        norm = partial(nn.BatchNorm2d, eps=norm_eps, momentum=norm_momentum)
        inputs = scale_channels(32, scaling.width)
        self.features = nn.Sequential(conv_norm(3, inputs, 3, norm, stride=2, lite=lite))
        total = sum(scale_blocks(stage[-1], scaling.depth) for stage in STAGES)
        made = 0
        for expansion, kernel, stride, channels, blocks in STAGES:
            outputs, stage = scale_channels(channels, scaling.width), nn.Sequential()
            for i in range(scale_blocks(blocks, scaling.depth)):
                step, p = stride if i == 0 else 1, stochastic_depth * made / total
                stage.append(MBConv(inputs, outputs, expansion, kernel, step, p, norm, lite=lite))
                inputs, made = outputs, made + 1
            self.features.append(stage)
        self.features.append(conv_norm(inputs, 4 * inputs, 1, norm, lite=lite))
        linear = nn.Linear(4 * inputs, num_classes)
        self.classifier = nn.Sequential(nn.Dropout(dropout, inplace=True), linear)
        self.classes = default_classes("imagenet", num_classes)
        self.preprocessing = {
            **self.preprocessing,
            "resize": round(scaling.resolution * 256 / 224),
            "crop": scaling.resolution,
            "interpolation": "bicubic",
            **(LITE_PREPROCESSING if lite else {}),
        }
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        bound = 1 / math.sqrt(num_classes)
        nn.init.uniform_(linear.weight, -bound, bound)
        nn.init.zeros_(linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``."""
        return self.classifier(self.features(images).mean(dim=(2, 3)))

    def rename_key(self, key: str) -> str:
        blocks = [len(list(stage.children())) for stage in self.features[1:8]]
        return torchvision_key(key, blocks, lite=self.lite)


# The paper's checkpoints of B5 to B7 were trained with other norms than torchvision's defaults.
PAPER_NORMS = {"norm_eps": 1e-3, "norm_momentum": 0.01}


@register("efficientnet", task="classification")
def efficientnet(*, phi: float = 0.0, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet scaled by the paper's rule; ``config``: what ``EfficientNet`` takes."""
    return EfficientNet(compound_scaling(phi), num_classes=num_classes, **config)


def _weights(
    version: int, file: str, acc1: float, acc5: float, resize: int, crop: int, how: str = "bicubic"
) -> Weights:
    return torchvision_weights(
        version, file, acc1, acc5, resize=resize, crop=crop, interpolation=how
    )


@register(
    "efficientnet_b0",
    task="classification",
    weights=[
        _weights(1, "efficientnet_b0_rwightman-7f5810bc.pth", 77.692, 93.532, 256, 224),
    ],
)
def efficientnet_b0(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-B0; ``config``: what ``EfficientNet`` takes."""
    config = {"dropout": 0.2, **config}
    return EfficientNet(SCALINGS[0], num_classes=num_classes, **config)


@register(
    "efficientnet_b1",
    task="classification",
    weights=[
        _weights(1, "efficientnet_b1_rwightman-bac287d4.pth", 78.642, 94.186, 256, 240),
        _weights(2, "efficientnet_b1-c27df63c.pth", 79.838, 94.934, 255, 240, "bilinear"),
    ],
)
def efficientnet_b1(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-B1; ``config``: what ``EfficientNet`` takes."""
    config = {"dropout": 0.2, **config}
    return EfficientNet(SCALINGS[1], num_classes=num_classes, **config)


@register(
    "efficientnet_b2",
    task="classification",
    weights=[
        _weights(1, "efficientnet_b2_rwightman-c35c1473.pth", 80.608, 95.31, 288, 288),
    ],
)
def efficientnet_b2(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-B2; ``config``: what ``EfficientNet`` takes."""
    config = {"dropout": 0.3, **config}
    return EfficientNet(SCALINGS[2], num_classes=num_classes, **config)


@register(
    "efficientnet_b3",
    task="classification",
    weights=[
        _weights(1, "efficientnet_b3_rwightman-b3899882.pth", 82.008, 96.054, 320, 300),
    ],
)
def efficientnet_b3(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-B3; ``config``: what ``EfficientNet`` takes."""
    config = {"dropout": 0.3, **config}
    return EfficientNet(SCALINGS[3], num_classes=num_classes, **config)


@register(
    "efficientnet_b4",
    task="classification",
    weights=[
        _weights(1, "efficientnet_b4_rwightman-23ab8bcd.pth", 83.384, 96.594, 384, 380),
    ],
)
def efficientnet_b4(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-B4; ``config``: what ``EfficientNet`` takes."""
    config = {"dropout": 0.4, **config}
    return EfficientNet(SCALINGS[4], num_classes=num_classes, **config)


@register(
    "efficientnet_b5",
    task="classification",
    weights=[
        _weights(1, "efficientnet_b5_lukemelas-1a07897c.pth", 83.444, 96.628, 456, 456),
    ],
)
def efficientnet_b5(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-B5; ``config``: what ``EfficientNet`` takes."""
    config = {**PAPER_NORMS, "dropout": 0.4, **config}
    return EfficientNet(SCALINGS[5], num_classes=num_classes, **config)


@register(
    "efficientnet_b6",
    task="classification",
    weights=[
        _weights(1, "efficientnet_b6_lukemelas-24a108a5.pth", 84.008, 96.916, 528, 528),
    ],
)
def efficientnet_b6(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-B6; ``config``: what ``EfficientNet`` takes."""
    config = {**PAPER_NORMS, "dropout": 0.5, **config}
    return EfficientNet(SCALINGS[6], num_classes=num_classes, **config)


@register(
    "efficientnet_b7",
    task="classification",
    weights=[
        _weights(1, "efficientnet_b7_lukemelas-c5b4e57e.pth", 84.122, 96.908, 600, 600),
    ],
)
def efficientnet_b7(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-B7; ``config``: what ``EfficientNet`` takes."""
    config = {**PAPER_NORMS, "dropout": 0.5, **config}
    return EfficientNet(SCALINGS[7], num_classes=num_classes, **config)


@register(
    "efficientnet_lite0",
    task="classification",
    weights=[
        timm_weights(
            "in1k",
            "v0.1-weights",
            "tf_efficientnet_lite0-0aa007d2.pth",
            74.83,
            92.172,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
    ],
)
def efficientnet_lite0(*, num_classes: int = 1000, **config: Any) -> EfficientNet:
    """EfficientNet-Lite0, for phones: B0 without what these are slow at.

    Source: Liu, "Higher accuracy on vision models with EfficientNet-Lite" (TensorFlow's blog,
        2020).
    """
    config = {**PAPER_NORMS, "dropout": 0.2, "lite": True, **config}
    return EfficientNet(SCALINGS[0], num_classes=num_classes, **config)
