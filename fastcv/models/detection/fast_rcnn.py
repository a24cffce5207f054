"""Fast R-CNN: one feature map for the whole image, from which every proposal takes its part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.detection._proposals import (
    PROPOSALS,
    TakesProposals,
    check_proposals,
    proposals_of_targets,
)
from fastcv.models.detection._two_stage import TwoStageDetector
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.vgg import VGGBackbone, VGGTrunk
from fastcv.nn.detection.roi_heads import (
    FastRCNNPredictor,
    RoIHeads,
    SingleLevelRoIPool,
    TwoMLPHead,
)
from fastcv.nn.detection.targets import objects_in_batch
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch, resize_boxes
from fastcv.ops import selective_search


class FastRCNNOutput(NamedTuple):
    """The network's outputs for a batch; boxes are in pixels of the batch."""

    batch: ImageBatch
    features: dict[str, Tensor]
    """``[B, C, H / stride, W / stride]``."""
    proposals: list[Tensor] | None
    """For each image ``[N, 4]``; None in training where none were given: the targets have them."""
    class_logits: Tensor | None
    """``[K, classes]`` for the proposals of all images, ``[K, classes, 4]`` their offsets; None in
    training, where ``loss`` classifies samples of the proposals instead."""
    box_deltas: Tensor | None


class FastRCNN(TakesProposals, TwoStageDetector):
    """Fast R-CNN of any backbone.

    Args:
        backbone: normalised images ``[B, 3, H, W]`` to one feature map, in a dict.
        roi_heads: classifies and refines proposals.
        transform: images of any sizes to one normalised batch.
        classes: names by label; the first is the background.

    Source: Girshick, "Fast R-CNN" (2015), figure 1.

    Example:
        >>> import torch, fastcv
        >>> model = fastcv.create_model(
        ...     "fast_rcnn_resnet18", num_classes=3, width=8, head_channels=32, min_size=64
        ... )
        >>> image, proposals = torch.rand(3, 60, 80), torch.tensor([[8.0, 8.0, 52.0, 40.0]])
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> targets = [{"boxes": boxes, "labels": labels, "proposals": proposals}]
        >>> sorted(model.loss(model([image]), targets))
        ['loss_box_reg', 'loss_classifier']
        >>> model.predict(image, proposals=[proposals], score_threshold=0.99)
        [Detections(0 boxes in 60x80)]
    """

    def __init__(
        self,
        backbone: nn.Module,
        roi_heads: RoIHeads,
        transform: DetectionTransform,
        classes: Sequence[str],
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.roi_heads = roi_heads
        self.classes = tuple(classes)

    def forward(
        self, images: Sequence[Tensor] | Tensor, proposals: Sequence[Tensor] | None = None
    ) -> FastRCNNOutput:
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].
            proposals: for each image ``[N, 4]`` in its pixels. None: in training those of
                the targets that ``loss`` is given; else selective search, its first 2000.

        Raises:
            TypeError, ValueError: images or proposals of another kind or shape.
        """
        batch = self.transform(images)
        features = self.backbone(batch.tensors)
        if proposals is None and not self.training:
            proposals = [selective_search(image)[:PROPOSALS] for image in images]
        if proposals is None:
            return FastRCNNOutput(batch, features, None, None, None)
        rois = self._in_batch(proposals, batch)
        logits = deltas = None
        if not self.training:
            logits, deltas = self.roi_heads(features, rois, batch.sizes)
        return FastRCNNOutput(batch, features, rois, logits, deltas)

    def _in_batch(self, proposals: Sequence[Tensor], batch: ImageBatch) -> list[Tensor]:
        """Boxes in pixels of the images as boxes in pixels of the batch."""
        check_proposals(proposals, len(batch.sizes))
        return [
            resize_boxes(boxes.to(batch.tensors), old, new)
            for boxes, old, new in zip(proposals, batch.original_sizes, batch.sizes, strict=True)
        ]

    def loss(self, output: FastRCNNOutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The multi-task loss, of samples of the proposals.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels, ``labels`` ``[N]`` int64,
                1 and up; ``proposals`` ``[M, 4]``, as ``fastcv.data.WithProposals`` gives them,
                unless ``forward`` was given some; and where there are crowds ``iscrowd`` ``[N]``.

        Returns:
            ``loss_classifier``, ``loss_box_reg``.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image.

        Source: Girshick, "Fast R-CNN" (2015), equation 1.
        """
        batch, features, proposals, *_ = output
        objects = objects_in_batch(targets, batch, len(self.classes))
        if proposals is None:
            proposals = self._in_batch(proposals_of_targets(targets), batch)
        boxes, labels = zip(*objects, strict=True)
        return self.roi_heads.loss(
            features, proposals, boxes, labels, batch.sizes, targets, batch.original_sizes
        )


def _build(
    backbone: nn.Module,
    channels: int,
    representation: int,
    num_classes: int,
    min_size: int,
    max_size: int,
    dropout: float,
) -> FastRCNN:
    roi_heads = RoIHeads(
        SingleLevelRoIPool(7, stride=16),
        TwoMLPHead(channels * 7 * 7, representation, dropout=dropout),
        FastRCNNPredictor(representation, num_classes),
        background_iou=0.1,
        batch_size_per_image=64,
        smooth_l1_beta=1.0,
    )
    transform = DetectionTransform(min_size, max_size)
    return FastRCNN(
        backbone, roi_heads, transform, default_classes("voc", num_classes, with_background=True)
    )


@register("fast_rcnn_vgg16", task="detection")
def fast_rcnn_vgg16(
    *, num_classes: int = 21, min_size: int = 600, max_size: int = 1000
) -> FastRCNN:
    """Fast R-CNN as in the paper: VGG-16, RoIPool to 7 x 7, 64 proposals of an image in the loss.

    Args:
        num_classes: with the background; 21 for PASCAL VOC.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: Girshick, "Fast R-CNN" (2015), section 2.
    """
    backbone = VGGBackbone(VGGTrunk(16))
    return _build(backbone, 512, 4096, num_classes, min_size, max_size, dropout=0.5)


class ResNetBackbone(nn.Module):
    """ResNet up to its third stage: one feature map of stride 16."""

    def __init__(self, trunk: ResNetTrunk) -> None:
        super().__init__()
        self.stem = nn.Sequential(trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool)
        self.layer1, self.layer2, self.layer3 = trunk.layer1, trunk.layer2, trunk.layer3
        self.out_channels = trunk.out_channels[2]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"0": self.layer3(self.layer2(self.layer1(self.stem(images))))}


@register("fast_rcnn_resnet18", task="detection")
def fast_rcnn_resnet18(
    *,
    num_classes: int = 21,
    width: int = 64,
    head_channels: int = 1024,
    min_size: int = 600,
    max_size: int = 1000,
) -> FastRCNN:
    """A smaller Fast R-CNN, on ResNet-18 of any width up to its third stage.

    Args:
        num_classes: with the background.
        width: channels of the backbone's first stage.
        head_channels: numbers that describe a proposal.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
    """
    backbone = ResNetBackbone(ResNetTrunk(18, width=width))
    channels = backbone.out_channels
    return _build(backbone, channels, head_channels, num_classes, min_size, max_size, dropout=0.0)
