"""What segmenters on a ResNet share: the trunk, a head, another head that only trains."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._model import ignore_keys
from fastcv.models.segmentation._segmenter import Segmenter, SegmenterOutput
from fastcv.nn.backbones.resnet import ResNetTrunk, conv


class FCNHead(nn.Sequential):
    """A 3x3 convolution to a quarter of the channels, and the classes' scores of those."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        channels = inputs // 4
        super().__init__(
            conv(3, inputs, channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Dropout(0.1),
            nn.Conv2d(channels, num_classes, 1),
        )


class ResNetSegmenter(Segmenter):
    """A dilated ResNet, a head on its last stage, interpolation to the size of the images.

    Its keys are torchvision's: ``backbone.*``, ``classifier.*``, ``aux_classifier.*``.

    Args:
        backbone: the trunk.
        classifier: from maps of ``backbone.out_channels[3]`` channels to logits.
        num_classes: logits, the background's included.
        aux_loss: have an auxiliary head on the third stage; it runs in training only.
    """

    def __init__(
        self,
        backbone: ResNetTrunk,
        classifier: nn.Module,
        *,
        num_classes: int = 21,
        aux_loss: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier
        self.aux_classifier = None
        if aux_loss:
            self.aux_classifier = FCNHead(backbone.out_channels[2], num_classes)
        else:
            ignore_keys(self, "aux_classifier.")  # a checkpoint may have it
        self.classes = default_classes("voc", num_classes)

    def forward(self, images: Tensor) -> Tensor | SegmenterOutput:
        """Logits ``[B, num_classes, H, W]`` of normalised images ``[B, 3, H, W]``.

        In training with an auxiliary head: a ``SegmenterOutput`` of both.
        """
        *_, c4, c5 = self.backbone(images)
        logits = enlarged(self.classifier(c5), images)
        if self.training and self.aux_classifier is not None:
            return SegmenterOutput(logits, enlarged(self.aux_classifier(c4), images))
        return logits


def enlarged(scores: Tensor, images: Tensor) -> Tensor:
    """Scores interpolated to the height and width of the images."""
    return F.interpolate(scores, images.shape[-2:], mode="bilinear", align_corners=False)
