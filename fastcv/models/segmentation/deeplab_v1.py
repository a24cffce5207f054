"""DeepLab v1: VGG-16 that stops striding, with holes in its later convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.init import fill

STRIDES = (2, 2, 2, 1, 1)  # of the five pools


class DeepLabV1(Segmenter):
    """VGG-16 at an eighth of the image's size, with a large field of view: DeepLab-LargeFOV.

    The last two pools do not stride. So the convolutions between them have rate 2, and the first
    fully connected layer, now a 3x3 convolution of 1024 channels, has rate 12. The trunk's keys are
    those of torchvision's VGG-16.

    Args:
        num_classes: logits, the background's included.
        rate: of ``fc6``; 12 in the paper's best model.
        dropout: after ``fc6`` and after ``fc7``.

    Source: Chen et al., "Semantic Image Segmentation with Deep Convolutional Nets and Fully
        Connected CRFs" (2015), sections 3.1, 3.2 and 5.2; the 3x3 pools are those of the Caffe
        model that its authors published.

    Example:
        >>> import fastcv, torch
        >>> with torch.device("meta"):  # shapes alone: it has 20 million weights
        ...     model = fastcv.create_model("deeplabv1_vgg16").eval()
        ...     logits = model(torch.rand(1, 3, 41, 50))
        >>> logits.shape
        torch.Size([1, 21, 41, 50])
    """

    def __init__(self, *, num_classes: int = 21, rate: int = 12, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = VGGTrunk(16).features
        pools = 0
        for i, layer in enumerate(self.features):
            if isinstance(layer, nn.MaxPool2d):
                self.features[i] = nn.MaxPool2d(3, STRIDES[pools], padding=1, ceil_mode=True)
                pools += 1
            elif isinstance(layer, nn.Conv2d) and pools == 4:
                layer.dilation = layer.padding = (2, 2)
        self.pool5a = nn.AvgPool2d(3, stride=1, padding=1)
        self.fc6 = nn.Conv2d(512, 1024, 3, padding=rate, dilation=rate)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.fc8 = nn.Conv2d(1024, num_classes, 1)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.fc6, self.fc7, self.fc8):
            nn.init.normal_(layer.weight, std=0.01)
            fill(layer.bias)
        self.classes = default_classes("voc", num_classes)

    def scores(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes, H / 8, W / 8]``, sizes rounded up."""
        x = self.pool5a(self.features(images))
        x = self.dropout(torch.relu(self.fc6(x)))
        x = self.dropout(torch.relu(self.fc7(x)))
        return self.fc8(x)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes, H, W]`` of normalised images ``[B, 3, H, W]``."""
        # Score (i, j) is that of pixel (8 i, 8 j): corners lie on corners.
        size = images.shape[-2:]
        return F.interpolate(self.scores(images), size, mode="bilinear", align_corners=True)


@register("deeplabv1_vgg16", task="segmentation")
def deeplabv1_vgg16(**config: Any) -> DeepLabV1:
    """DeepLab v1 with a large field of view; ``config``: what ``DeepLabV1`` takes."""
    return DeepLabV1(**config)
