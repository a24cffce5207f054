"""DeepLab v3+: DeepLab v3 as an encoder, and a small decoder that brings the edges back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.models.segmentation.deeplab_v3 import DILATED_STAGES, RATES, check_output_stride
from fastcv.nn.backbones.aligned_xception import AlignedXceptionTrunk
from fastcv.nn.backbones.resnet import ResNetTrunk, conv
from fastcv.nn.backbones.xception import XceptionTrunk
from fastcv.nn.layers.aspp import ASPP, conv_norm_relu
from fastcv.nn.layers.separable_conv import SeparableConv2d

LOW_LEVEL_CHANNELS = 48


SEPARABLE = r"^(classifier\.(?:aspp\.convs\.[123]|refine|classifier)\.0)"

RENAMED = (
    (r"^encoder\.(model\.)?", "backbone."),
    (r"^decoder\.aspp\.0\.", "classifier.aspp."),
    (r"^decoder\.aspp\.1\.", "classifier.refine.0."),
    (r"^decoder\.aspp\.2\.", "classifier.refine.1."),
    (r"^decoder\.block1\.", "classifier.project."),
    (r"^decoder\.block2\.", "classifier.classifier."),
    (r"^segmentation_head\.0\.", "classifier.classifier.3."),
    (SEPARABLE + r"\.0\.", r"\1.conv1."),
    (SEPARABLE + r"\.1\.", r"\1.pointwise."),
    # timm's Xception-65
    (r"^backbone\.(stem|blocks)_", r"backbone.\1."),
    (r"\.conv_dw\.", ".depthwise."),
    (r"\.bn_dw\.", ".depthwise_norm."),
    (r"\.conv_pw\.", ".pointwise."),
    (r"\.bn_pw\.", ".pointwise_norm."),
)
"""What is replaced in segmentation_models_pytorch's keys, one after the other."""


class Decoder(nn.Module):
    """ASPP enlarged to the size of early maps, those beside it, a 3x3 convolution of both.

    Args:
        low_channels: of the early maps.
        high_channels: of the last ones.
        num_classes: scores.
        rates: of ASPP.
        channels: of ASPP and of the 3x3 convolution.
        separable: 3x3 convolutions of depthwise and pointwise ones, one more of them behind ASPP,
            and corners enlarged to corners, as in segmentation_models_pytorch.
    """

    def __init__(
        self,
        low_channels: int,
        high_channels: int,
        num_classes: int,
        rates: Sequence[int],
        channels: int,
        separable: bool,
    ) -> None:
        super().__init__()
        self.separable = separable
        self.project = conv_norm_relu(conv(1, low_channels, LOW_LEVEL_CHANNELS), LOW_LEVEL_CHANNELS)
        dropout = 0.5 if separable else 0.1
        self.aspp = ASPP(high_channels, rates, channels, dropout=dropout, separable=separable)
        both, last = LOW_LEVEL_CHANNELS + channels, nn.Conv2d(channels, num_classes, 1)
        convolution: nn.Module = conv(3, both, channels)
        if separable:
            self.refine = conv_norm_relu(SeparableConv2d(channels, channels), channels)
            convolution = SeparableConv2d(both, channels)
        self.classifier = conv_norm_relu(convolution, channels).append(last)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Maps ``[B, low_channels, h, w]`` and smaller ones to scores ``[B, classes, h, w]``."""
        low, high = self.project(low), self.aspp(high)
        if self.separable:
            both = [self.enlarged(self.refine(high), low), low]
        else:
            both = [low, self.enlarged(high, low)]
        return self.classifier(torch.cat(both, dim=1))

    def enlarged(self, maps: Tensor, to: Tensor) -> Tensor:
        """Maps interpolated to the height and width of others."""
        size = to.shape[-2:]
        return F.interpolate(maps, size, mode="bilinear", align_corners=self.separable)


class DeepLabV3Plus(Segmenter):
    """A dilated trunk, ASPP and a decoder, in either of the forms that people have weights of.

    The keys are those of VainF's repository; segmentation_models_pytorch's are renamed.

    Args:
        backbone: from images to maps of which the first is at a quarter of the size.
        num_classes: logits, the background's included.
        atrous_rates: of ASPP.
        separable: segmentation_models_pytorch's form, as described at ``Decoder``; otherwise
            VainF's.
        decoder_channels: of ASPP and the decoder.

    Source: Chen et al., "Encoder-decoder with atrous separable convolution for semantic image
        segmentation" (2018), section 3 and figure 2.

    Example:
        >>> import fastcv, torch
        >>> options = {"num_classes": 3, "width": 8, "decoder_channels": 16}
        >>> model = fastcv.create_model("deeplabv3plus_resnet50", **options).eval()
        >>> model(torch.rand(1, 3, 65, 80)).shape
        torch.Size([1, 3, 65, 80])
    """

    def __init__(
        self,
        backbone: ResNetTrunk | XceptionTrunk | AlignedXceptionTrunk,
        *,
        num_classes: int = 21,
        atrous_rates: Sequence[int] = (6, 12, 18),
        separable: bool = False,
        decoder_channels: int = 256,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        low, *_, high = backbone.out_channels
        self.classifier = Decoder(low, high, num_classes, atrous_rates, decoder_channels, separable)
        self.classes = default_classes("voc", num_classes)

    def rename_key(self, key: str) -> str:
        for pattern, new in RENAMED:
            key = re.sub(pattern, new, key)
        return key

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes, H, W]`` of normalised images ``[B, 3, H, W]``."""
        low, *_, high = self.backbone(images)
        return self.classifier.enlarged(self.classifier(low, high), images)


class DeepLabV3PlusResNet(DeepLabV3Plus):
    """DeepLab v3+ on a ResNet.

    Args:
        depth: 50 or 101 in the paper.
        num_classes: logits, the background's included.
        output_stride: 8 or 16, of the last stage: what does not stride dilates.
        atrous_rates: of ASPP; None: (6, 12, 18) at output stride 16, (12, 24, 36) at 8 and in
            segmentation_models_pytorch's form.
        multi_grid: as ``DeepLabV3`` has it.
        separable: segmentation_models_pytorch's form; its dilated stages dilate from the first
            block on, VainF's from the second.
        decoder_channels: of ASPP and the decoder.
        width: channels of the ResNet's stem.
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 21,
        output_stride: int = 16,
        atrous_rates: Sequence[int] | None = None,
        multi_grid: Sequence[int] | None = None,
        separable: bool = False,
        decoder_channels: int = 256,
        width: int = 64,
    ) -> None:
        check_output_stride(output_stride)
        backbone = ResNetTrunk(
            depth,
            width=width,
            replace_stride_with_dilation=DILATED_STAGES[output_stride],
            dilate_first=separable,
            multi_grid=multi_grid,
        )
        super().__init__(
            backbone,
            num_classes=num_classes,
            atrous_rates=atrous_rates or default_rates(output_stride, separable),
            separable=separable,
            decoder_channels=decoder_channels,
        )


def default_rates(output_stride: int, separable: bool) -> tuple[int, ...]:
    """The paper's rates; segmentation_models_pytorch has those of output stride 8 for both."""
    return RATES[8 if separable else output_stride]


@register("deeplabv3plus_resnet50", task="segmentation")
def deeplabv3plus_resnet50(**config: Any) -> DeepLabV3PlusResNet:
    """DeepLab v3+ on ResNet-50; ``config``: what ``DeepLabV3PlusResNet`` takes but the depth."""
    return DeepLabV3PlusResNet(50, **config)


@register("deeplabv3plus_resnet101", task="segmentation")
def deeplabv3plus_resnet101(**config: Any) -> DeepLabV3PlusResNet:
    """DeepLab v3+ on ResNet-101."""
    return DeepLabV3PlusResNet(101, **config)


@register("deeplabv3plus_xception", task="segmentation")
def deeplabv3plus_xception(
    *, num_classes: int = 21, output_stride: int = 16, decoder_channels: int = 256
) -> DeepLabV3Plus:
    """DeepLab v3+ on Chollet's Xception, which takes VainF's keys.

    VainF's last two convolutions dilate with a padding of 1, so that their maps are smaller.
    """
    check_output_stride(output_stride)
    return _normalised_for_xception(
        DeepLabV3Plus(
            XceptionTrunk(replace_stride_with_dilation=(output_stride == 8, True)),
            num_classes=num_classes,
            atrous_rates=RATES[output_stride],
            decoder_channels=decoder_channels,
        )
    )


@register("deeplabv3plus_xception65", task="segmentation")
def deeplabv3plus_xception65(
    *,
    num_classes: int = 21,
    output_stride: int = 16,
    atrous_rates: Sequence[int] | None = None,
    separable: bool = True,
    decoder_channels: int = 256,
    middle: int = 16,
) -> DeepLabV3Plus:
    """DeepLab v3+ on the paper's Xception-65; ``middle``: blocks of its middle flow."""
    check_output_stride(output_stride)
    return _normalised_for_xception(
        DeepLabV3Plus(
            AlignedXceptionTrunk(output_stride=output_stride, middle=middle),
            num_classes=num_classes,
            atrous_rates=atrous_rates or default_rates(output_stride, separable),
            separable=separable,
            decoder_channels=decoder_channels,
        )
    )


def _normalised_for_xception(model: DeepLabV3Plus) -> DeepLabV3Plus:
    """Xception's weights were trained on images in [-1, 1]."""
    model.preprocessing = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    return model
