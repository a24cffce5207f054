"""DeepLab v3: a dilated ResNet, and atrous spatial pyramid pooling on its last stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from fastcv.models._registry import register
from fastcv.models.segmentation._published import torchvision_weights
from fastcv.models.segmentation._resnet_segmenter import ResNetSegmenter
from fastcv.nn.backbones.resnet import ResNetTrunk, conv
from fastcv.nn.layers.aspp import ASPP, conv_norm_relu

DILATED_STAGES = {8: (False, True, True), 16: (False, False, True)}
"""By output stride, which of the stages 2 to 4 dilate."""

RATES = {8: (12, 24, 36), 16: (6, 12, 18)}
"""By output stride, those of the paper's section 3.3."""


def check_output_stride(output_stride: int) -> None:
    """Raises a ValueError for an output stride that is neither 8 nor 16."""
    if output_stride not in DILATED_STAGES:
        raise ValueError(
            f"output_stride must be one of {', '.join(map(str, DILATED_STAGES))}, "
            f"got {output_stride}"
        )


class DeepLabHead(nn.Sequential):
    """ASPP, a 3x3 convolution, the classes' scores."""

    def __init__(
        self, inputs: int, num_classes: int, rates: Sequence[int], channels: int = 256
    ) -> None:
        super().__init__(
            ASPP(inputs, rates, channels),
            *conv_norm_relu(conv(3, channels, channels), channels),
            nn.Conv2d(channels, num_classes, 1),
        )


class DeepLabV3(ResNetSegmenter):
    """A dilated ResNet, ASPP, one map of scores enlarged to the images' size.

    Its keys are torchvision's.

    Args:
        depth: of the ResNet: 50 or 101 in the paper.
        num_classes: logits, the background's included.
        aux_loss: have an auxiliary head on the third stage; it runs in training only.
        output_stride: 8 or 16, of the last stage: what does not stride dilates.
        atrous_rates: of ASPP; None: the paper's for this output stride.
        multi_grid: of the last stage's blocks, (1, 2, 4) in the paper; None: torchvision's, whose
            first block of a dilated stage has the rate of the stage before.
        aspp_channels: of ASPP.
        width: channels of the ResNet's stem, 64 in the paper.

    Raises:
        ValueError: another output stride; a ``multi_grid`` of another length.

    Source: Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation" (2017).

    Example:
        >>> import fastcv, torch
        >>> options = {"num_classes": 3, "output_stride": 16, "width": 8, "aspp_channels": 16}
        >>> model = fastcv.create_model("deeplabv3_resnet50", **options).eval()
        >>> model(torch.rand(1, 3, 65, 80)).shape
        torch.Size([1, 3, 65, 80])
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 21,
        aux_loss: bool = True,
        output_stride: int = 8,
        atrous_rates: Sequence[int] | None = None,
        multi_grid: Sequence[int] | None = None,
        aspp_channels: int = 256,
        width: int = 64,
    ) -> None:
        check_output_stride(output_stride)
        backbone = ResNetTrunk(
            depth,
            replace_stride_with_dilation=DILATED_STAGES[output_stride],
            multi_grid=multi_grid,
            width=width,
        )
        rates = RATES[output_stride] if atrous_rates is None else atrous_rates
        head = DeepLabHead(backbone.out_channels[3], num_classes, rates, aspp_channels)
        super().__init__(backbone, head, num_classes=num_classes, aux_loss=aux_loss)


@register(
    "deeplabv3_resnet50",
    task="segmentation",
    weights=[torchvision_weights("deeplabv3_resnet50_coco-cd0a2569.pth", 66.4, 92.4)],
)
def deeplabv3_resnet50(**config: Any) -> DeepLabV3:
    """DeepLab v3 on ResNet-50; ``config``: what ``DeepLabV3`` takes but the depth."""
    return DeepLabV3(50, **config)


@register(
    "deeplabv3_resnet101",
    task="segmentation",
    weights=[torchvision_weights("deeplabv3_resnet101_coco-586e9e4e.pth", 67.4, 92.4)],
)
def deeplabv3_resnet101(**config: Any) -> DeepLabV3:
    """DeepLab v3 on ResNet-101."""
    return DeepLabV3(101, **config)
