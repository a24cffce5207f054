"""FCN on a dilated ResNet, as people use it today: one score map, enlarged eight times."""

from __future__ import annotations

from typing import Any

from fastcv.models._registry import register
from fastcv.models.segmentation._published import torchvision_weights
from fastcv.models.segmentation._resnet_segmenter import FCNHead, ResNetSegmenter
from fastcv.nn.backbones.resnet import ResNetTrunk


class FCNResNet(ResNetSegmenter):
    """A ResNet whose last two stages dilate instead of striding, and an ``FCNHead`` on it.

    The maps keep an eighth of the image's size, so that it needs no scores of earlier layers.

    Args:
        depth: of the ResNet: 18, 34, 50, 101 or 152.
        num_classes: logits, the background's included.
        aux_loss: have an auxiliary head on the third stage; it runs in training only.
        width: channels of the ResNet's stem.

    Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation" (2015), for
        scores by convolution; the trunk and the heads are torchvision's.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("fcn_resnet50", num_classes=3, width=8).eval()
        >>> model(torch.rand(1, 3, 65, 80)).shape
        torch.Size([1, 3, 65, 80])
    """

    def __init__(
        self, depth: int, *, num_classes: int = 21, aux_loss: bool = True, width: int = 64
    ) -> None:
        backbone = ResNetTrunk(depth, replace_stride_with_dilation=(False, True, True), width=width)
        head = FCNHead(backbone.out_channels[3], num_classes)
        super().__init__(backbone, head, num_classes=num_classes, aux_loss=aux_loss)


@register(
    "fcn_resnet50",
    task="segmentation",
    weights=[torchvision_weights("fcn_resnet50_coco-1167a1af.pth", 60.5, 91.4)],
)
def fcn_resnet50(**config: Any) -> FCNResNet:
    """FCN on ResNet-50; ``config``: what ``FCNResNet`` takes but the depth."""
    return FCNResNet(50, **config)


@register(
    "fcn_resnet101",
    task="segmentation",
    weights=[torchvision_weights("fcn_resnet101_coco-7ecb50ca.pth", 63.7, 91.9)],
)
def fcn_resnet101(**config: Any) -> FCNResNet:
    """FCN on ResNet-101."""
    return FCNResNet(101, **config)
