"""RetinaNet: two subnets over a feature pyramid, and a loss that easy anchors cannot drown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import class_names, default_classes
from fastcv.models._registry import register
from fastcv.models._weights import Weights
from fastcv.models.detection._dense_detector import DenseDetector, DenseOutput
from fastcv.nn.backbones.fpn import LastLevelP6P7
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.resnet_fpn import ResNetFPN
from fastcv.nn.detection.anchors import AnchorGenerator
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.dense_head import Candidates, best_pairs
from fastcv.nn.detection.matching import BETWEEN, Matcher
from fastcv.nn.detection.retinanet_head import RetinaNetHead
from fastcv.nn.detection.targets import objects_in_batch
from fastcv.nn.detection.transform import DetectionTransform
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.ops import box_iou, generalized_box_iou_loss, sigmoid_focal_loss

CANDIDATES = 1000  # of a level, at most
ANCHOR_SIZES = tuple(
    tuple(int(size * 2 ** (i / 3)) for i in range(3)) for size in (32, 64, 128, 256, 512)
)


class RetinaNet(DenseDetector):
    """RetinaNet of any backbone.

    Args:
        backbone, head, anchor_generator, transform, classes: as in ``DenseDetector``.
        box_loss: ``"l1"`` of the offsets, or ``"giou"`` of the boxes.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), figure 3.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "retinanet_resnet18_fpn", num_classes=3, width=8, fpn_channels=16, min_size=64,
        ...     max_size=96,
        ... )
        >>> images = [torch.rand(3, 60, 80), torch.rand(3, 64, 64)]
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> losses = model.loss(model(images), [{"boxes": boxes, "labels": labels}] * 2)
        >>> sorted(losses)
        ['bbox_regression', 'classification']
        >>> model.predict(images)
        [Detections(0 boxes in 60x80), Detections(0 boxes in 64x64)]
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        anchor_generator: nn.Module,
        transform: DetectionTransform,
        classes: Sequence[str],
        box_loss: str = "l1",
    ) -> None:
        super().__init__(backbone, head, anchor_generator, transform, BoxCoder(), classes)
        self.matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
        self.box_loss = box_loss

    def rename_key(self, key: str) -> str:
        """Old checkpoints count the subnets' activations: ``conv.2.weight`` is ``conv.1.0``."""
        old = re.fullmatch(r"(head\..+_head\.conv)\.(\d)\.(weight|bias)", key)
        return f"{old[1]}.{int(old[2]) // 2}.0.{old[3]}" if old else key

    def loss(self, output: DenseOutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The two terms, each over the anchors of an image that are objects, and over images.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels, ``labels`` ``[N]`` int64,
                1 and up, and where there are crowds ``iscrowd`` ``[N]``: these are left out.

        Returns:
            ``classification``, the focal loss of all anchors but those between object (IoU 0.5)
            and background (0.4); ``bbox_regression``, of those that are objects.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image and the box.

        Source: Lin et al. (2017), equation 5 and section 4.1.
        """
        anchors, deltas = torch.cat(output.anchors), torch.cat(output.deltas, dim=1)
        labels, weights, box_losses = [], [], []
        objects = objects_in_batch(targets, output.batch, len(self.classes), anchors.dtype)
        for (boxes, object_labels), offsets in zip(objects, deltas, strict=True):
            matches = self.matcher(box_iou(boxes, anchors))
            positive = (matches >= 0).nonzero().flatten()
            factor = 1 / (max(len(positive), 1) * len(targets))
            label = torch.full_like(matches, -1)  # of no class
            label[positive] = object_labels[matches[positive]]
            labels.append(label)
            weights.append((matches != BETWEEN) * factor)
            term = self._box_loss(offsets[positive], boxes[matches[positive]], anchors[positive])
            box_losses.append(term * factor)
        return {
            "classification": self._focal_loss(output, torch.stack(labels), torch.stack(weights)),
            "bbox_regression": torch.stack(box_losses).sum(),
        }

    def _box_loss(self, deltas: Tensor, boxes: Tensor, anchors: Tensor) -> Tensor:
        if self.box_loss == "giou":
            predicted = self.box_coder.decode(deltas, anchors)
            return generalized_box_iou_loss(predicted, boxes.to(predicted.dtype), reduction="sum")
        target_deltas = self.box_coder.encode(boxes, anchors).to(deltas.dtype)
        return F.l1_loss(deltas, target_deltas, reduction="sum")

    @staticmethod
    def _focal_loss(output: DenseOutput, labels: Tensor, weights: Tensor) -> Tensor:
        """Level by level: logits of all levels in one tensor would be a copy of millions."""
        sizes = [logits.shape[1] for logits in output.logits]
        total = output.logits[0].new_zeros(())
        for logits, label, weight in zip(
            output.logits,
            torch.split(labels, sizes, 1),
            torch.split(weights, sizes, 1),
            strict=True,
        ):
            classes = torch.arange(logits.shape[2], device=label.device)
            targets = label[..., None] == classes
            total = total + sigmoid_focal_loss(logits, targets, reduction="sum", weight=weight)
        return total

    def detect(
        self,
        output: DenseOutput,
        *,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 300,
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score: tensors, for export.

        Args:
            output: of ``forward``.
            score_threshold: a class's probability must be above it. Of those, the 1000 best of
                each level are decoded.
            iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
            max_detections: of an image, at most.
        """
        tops, start = [], 0
        for logits in output.logits:
            values, anchors, labels = best_pairs(logits, CANDIDATES)
            tops.append((anchors + start, labels, values.sigmoid()))
            start += logits.shape[1]
        anchors, labels, scores = (torch.cat(parts, dim=1) for parts in zip(*tops, strict=True))
        above = [score > score_threshold for score in scores]
        candidates = [
            Candidates(anchors[i][mask], labels[i][mask], scores[i][mask])
            for i, mask in enumerate(above)
        ]
        return self.found(
            output, candidates, iou_threshold=iou_threshold, max_detections=max_detections
        )


def _retinanet(
    trunk: ResNetTrunk,
    *,
    num_classes: int,
    trainable_layers: int = 5,
    fpn_channels: int = 256,
    anchor_sizes: Sequence[Sequence[float]] = ANCHOR_SIZES,
    min_size: int,
    max_size: int,
    p6_from_c5: bool = False,
    norm_layer: Callable[[int], nn.Module] | None = None,
    box_loss: str = "l1",
) -> RetinaNet:
    p6 = LastLevelP6P7(trunk.out_channels[-1] if p6_from_c5 else fpn_channels, fpn_channels)
    # From C3 on: C2 would give four times as many anchors.
    backbone = ResNetFPN(trunk, fpn_channels, p6, trainable_layers, first_stage=2)
    anchors = AnchorGenerator(anchor_sizes)
    return RetinaNet(
        backbone,
        RetinaNetHead(fpn_channels, anchors.anchors_per_cell(), num_classes, norm_layer),
        anchors,
        DetectionTransform(min_size, max_size),
        default_classes("coco", num_classes, with_background=True),
        box_loss,
    )


@register(
    "retinanet_resnet50_fpn",
    task="detection",
    weights=[
        Weights(
            name="COCO_V1",
            url="https://download.pytorch.org/models/retinanet_resnet50_fpn_coco-eeacb38b.pth",
            sha256="eeacb38b",
            classes=class_names("coco"),
            licence="BSD-3-Clause",
            source="torchvision, references/detection; trained on COCO train2017",
            metric={"box mAP": 36.4},
            # As they were trained: a few images a step would spoil the statistics.
            config={"frozen_norm": True, "norm_eps": 0.0, "trainable_layers": 3},
        )
    ],
)
def retinanet_resnet50_fpn(
    *,
    num_classes: int = 91,
    frozen_norm: bool = False,
    norm_eps: float = 1e-5,
    trainable_layers: int = 5,
    min_size: int = 800,
    max_size: int = 1333,
) -> RetinaNet:
    """RetinaNet on ResNet-50 with a feature pyramid; torchvision's checkpoints load.

    Args:
        num_classes: with the background.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        norm_eps: what frozen norms add to the variance; the published weights know none.
        trainable_layers: of the backbone, from the last stage backwards; 5 is all.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), section 4.
    """
    norm = partial(FrozenBatchNorm2d, eps=norm_eps) if frozen_norm else nn.BatchNorm2d
    return _retinanet(
        ResNetTrunk(50, norm_layer=norm),
        num_classes=num_classes,
        trainable_layers=trainable_layers,
        min_size=min_size,
        max_size=max_size,
    )


@register(
    "retinanet_resnet50_fpn_v2",
    task="detection",
    weights=[
        Weights(
            name="COCO_V1",
            url="https://download.pytorch.org/models/retinanet_resnet50_fpn_v2_coco-5905b1c5.pth",
            sha256="5905b1c5",
            classes=class_names("coco"),
            licence="BSD-3-Clause",
            source="torchvision, pull request 5756; trained on COCO train2017",
            metric={"box mAP": 41.5},
            config={"trainable_layers": 3},
        )
    ],
)
def retinanet_resnet50_fpn_v2(
    *,
    num_classes: int = 91,
    trainable_layers: int = 5,
    min_size: int = 800,
    max_size: int = 1333,
) -> RetinaNet:
    """torchvision's second RetinaNet: group norms in the subnets, P6 of C5, GIoU as boxes' loss.

    Args:
        num_classes, trainable_layers, min_size, max_size: as in ``retinanet_resnet50_fpn``.
    """
    return _retinanet(
        ResNetTrunk(50),
        num_classes=num_classes,
        trainable_layers=trainable_layers,
        min_size=min_size,
        max_size=max_size,
        p6_from_c5=True,
        norm_layer=partial(nn.GroupNorm, 32),
        box_loss="giou",
    )


@register("retinanet_resnet18_fpn", task="detection")
def retinanet_resnet18_fpn(
    *,
    num_classes: int = 91,
    width: int = 64,
    fpn_channels: int = 256,
    anchor_sizes: Sequence[Sequence[float]] = ANCHOR_SIZES,
    min_size: int = 800,
    max_size: int = 1333,
) -> RetinaNet:
    """A smaller RetinaNet, on ResNet-18 of any width.

    Args:
        num_classes: with the background.
        width: channels of the backbone's first stage.
        fpn_channels: channels of the pyramid and of the subnets.
        anchor_sizes: sides of the anchors for each of the five levels, in pixels after resizing.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
    """
    return _retinanet(
        ResNetTrunk(18, width=width),
        num_classes=num_classes,
        fpn_channels=fpn_channels,
        anchor_sizes=anchor_sizes,
        min_size=min_size,
        max_size=max_size,
    )
