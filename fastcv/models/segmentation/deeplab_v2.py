"""DeepLab v2: a dilated ResNet, ASPP by addition, an image seen at three scales."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.nn.backbones.resnet import conv
from fastcv.nn.init import fill


class DeepLabV2Output(NamedTuple):
    """What training needs: the fused logits, and each scale's in its own small size."""

    logits: Tensor
    scales: list[Tensor]


class ConvNorm(nn.Sequential):
    """A convolution and a batch norm, named."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.conv = convolution
        self.bn = nn.BatchNorm2d(convolution.out_channels)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and a shortcut: ResNet's block with the stride in the first convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int, rate: int, project: bool) -> None:
        super().__init__()
        channels = outputs // 4
        self.reduce = ConvNorm(conv(1, inputs, channels, stride))
        self.conv3x3 = ConvNorm(conv(3, channels, channels, dilation=rate))
        self.increase = ConvNorm(conv(1, channels, outputs))
        self.shortcut = ConvNorm(conv(1, inputs, outputs, stride)) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.conv3x3(torch.relu(self.reduce(x))))
        return torch.relu(self.increase(out) + self.shortcut(x))


class ASPPSum(nn.Module):
    """3x3 convolutions at several rates, each to scores; their sum."""

    def __init__(self, inputs: int, num_classes: int, rates: Sequence[int]) -> None:
        super().__init__()
        for i, rate in enumerate(rates):
            layer = nn.Conv2d(inputs, num_classes, 3, padding=rate, dilation=rate)
            nn.init.normal_(layer.weight, std=0.01)
            fill(layer.bias)
            self.add_module(f"c{i}", layer)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = (branch(x) for branch in self.children())
        for scores in others:
            first = first + scores
        return first


class DeepLabV2(Segmenter):
    """ResNet-101 at an eighth of the image's size, ASPP, the largest score over three scales.

    Its keys are those of kazuto1011's port of the authors' Caffe models; checkpoints of its older
    forms load too. Their images are those of Caffe, as ``preprocessing`` has it: BGR, in
    [0, 255], the mean taken off.

    Args:
        num_classes: logits, the background's included.
        layers: blocks of the four stages.
        width: channels of the stem, 64 in the paper.
        atrous_rates: of ASPP.
        scales: besides 1, at which the image is seen; empty for the plain network.

    Source: Chen et al., "DeepLab: Semantic Image Segmentation with Deep Convolutional Nets, Atrous
        Convolution, and Fully Connected CRFs" (2017), sections 3.1, 3.2 and 4.1.

    Example:
        >>> import fastcv, torch
        >>> options = {"num_classes": 3, "layers": (1, 1, 1, 1), "width": 8}
        >>> model = fastcv.create_model("deeplabv2_resnet101", **options)
        >>> output = model(torch.rand(1, 3, 65, 80))
        >>> output.logits.shape, [tuple(x.shape[2:]) for x in output.scales]
        (torch.Size([1, 3, 65, 80]), [(9, 11), (5, 6), (7, 8)])
        >>> list(model.loss(output, torch.zeros(1, 65, 80, dtype=torch.int64)))
        ['fused', 'scale 1', 'scale 0.5', 'scale 0.75']
    """

    def __init__(
        self,
        *,
        num_classes: int = 21,
        layers: Sequence[int] = (3, 4, 23, 3),
        width: int = 64,
        atrous_rates: Sequence[int] = (6, 12, 18, 24),
        scales: Sequence[float] = (0.5, 0.75),
    ) -> None:
        super().__init__()
        self.layer1 = nn.Sequential()
        self.layer1.add_module("conv1", ConvNorm(conv(7, 3, width, stride=2)))
        self.layer1.add_module("relu", nn.ReLU(inplace=True))
        self.layer1.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True))
        inputs, stages = width, []
        for i, (stride, rate) in enumerate(((1, 1), (2, 1), (1, 2), (1, 4))):
            outputs, stage = 4 * width * 2**i, nn.Sequential()
            for j in range(layers[i]):
                first = j == 0
                block = Bottleneck(inputs, outputs, stride if first else 1, rate, project=first)
                stage.add_module(f"block{j + 1}", block)
                inputs = outputs
            stages.append(stage)
        self.layer2, self.layer3, self.layer4, self.layer5 = stages
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.aspp = ASPPSum(inputs, num_classes, atrous_rates)
        self.extra_scales = tuple(scales)
        self.classes = default_classes("voc", num_classes)
        self.preprocessing = {
            "channel_order": "bgr",
            "mean": (104.008 / 255, 116.669 / 255, 122.675 / 255),
            "std": (1 / 255, 1 / 255, 1 / 255),
        }

    def rename_key(self, key: str) -> str:
        key = re.sub(r"^(base|scale)\.", "", key)
        return key.replace("aspp.stages.", "aspp.").replace(".proj.", ".shortcut.")

    def scores(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes, H / 8, W / 8]``, sizes rounded up, at one scale."""
        x = self.layer3(self.layer2(self.layer1(images)))
        return self.aspp(self.layer5(self.layer4(x)))

    def forward(self, images: Tensor) -> Tensor | DeepLabV2Output:
        """Logits ``[B, num_classes, H, W]`` of images ``[B, 3, H, W]``, as ``prepare`` makes them.

        In training with more than one scale: a ``DeepLabV2Output``.
        """
        height, width = images.shape[-2:]
        scales = [self.scores(images)]
        for scale in self.extra_scales:
            size = [max(1, int(side * scale)) for side in (height, width)]
            scales.append(self.scores(resized(images, size)))
        fused = scales[0]
        for scores in scales[1:]:
            fused = torch.maximum(fused, resized(scores, fused.shape[-2:]))
        logits = resized(fused, (height, width))
        if self.training and self.extra_scales:
            return DeepLabV2Output(logits, scales)
        return logits

    def loss(  # type: ignore[override]  # the output is of another kind
        self, output: Tensor | DeepLabV2Output, targets: Tensor
    ) -> dict[str, Tensor]:
        """The cross-entropy of the fused scores, and of each scale's.

        Each is that of ``Segmenter.loss``; scales are compared with as many of the labels as they
        have scores.

        Args:
            output: what ``forward`` returned.
            targets: labels ``[B, H, W]`` int64; 255 is left out.
        """
        if isinstance(output, Tensor):
            return super().loss(output, targets)
        losses = {"fused": super().loss(output.logits, targets)["cross_entropy"]}
        for scale, scores in zip((1, *self.extra_scales), output.scales, strict=True):
            labels = F.interpolate(targets[:, None].float(), scores.shape[-2:]).long()[:, 0]
            losses[f"scale {scale:g}"] = super().loss(scores, labels)["cross_entropy"]
        return losses


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps or images ``[B, C, h, w]`` interpolated to a height and width."""
    return F.interpolate(maps, list(size), mode="bilinear", align_corners=False)


@register("deeplabv2_resnet101", task="segmentation")
def deeplabv2_resnet101(**config: Any) -> DeepLabV2:
    """DeepLab v2 on ResNet-101; ``config``: what ``DeepLabV2`` takes."""
    return DeepLabV2(**config)
