"""SSD: boxes and classes from six maps of one network, large objects from the small maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import class_names, default_classes
from fastcv.models._registry import register
from fastcv.models._weights import Weights
from fastcv.models.detection._dense_detector import DenseDetector, DenseOutput
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.ssd_backbone import SSDVGG, SSDResNet, xavier
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.dense_head import Candidates, per_anchor
from fastcv.nn.detection.hard_negatives import hard_negatives
from fastcv.nn.detection.matching import MultiBoxMatcher
from fastcv.nn.detection.prior_boxes import PriorBoxes
from fastcv.nn.detection.targets import objects_in_batch
from fastcv.nn.detection.transform import DetectionTransform
from fastcv.ops import box_iou

CANDIDATES = 400  # of a class, at most
# VGG as it left Caffe: values 0 to 255 less their means.
VGG_MEAN, VGG_STD = (0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)

ASPECT_RATIOS = {
    300: ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
    512: ((2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)),
}
STEPS = {300: (8, 16, 32, 64, 100, 300), 512: (8, 16, 32, 64, 128, 256, 512)}
SCALES = {  # COCO's objects are smaller than VOC's
    (300, "coco"): (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
    (300, "voc"): (0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05),
    (512, "coco"): (0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06),
    (512, "voc"): (0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05),
}


class MapConvolutions(nn.Module):
    """A 3x3 convolution for each map."""

    def __init__(self, in_channels: Sequence[int], out_channels: Sequence[int]) -> None:
        super().__init__()
        self.module_list = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1)
            for inputs, outputs in zip(in_channels, out_channels, strict=True)
        )
        xavier(self)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [layer(x) for layer, x in zip(self.module_list, maps, strict=True)]


class SSDHead(nn.Module):
    """For each map, a convolution to the classes and one to the offsets of its priors.

    Args:
        in_channels: of each map.
        per_cell: priors of a cell, for each map.
        num_classes: with the background.
    """

    def __init__(
        self, in_channels: Sequence[int], per_cell: Sequence[int], num_classes: int
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.classification_head = MapConvolutions(in_channels, [n * num_classes for n in per_cell])
        self.regression_head = MapConvolutions(in_channels, [n * 4 for n in per_cell])

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits ``[B, N_l, classes]`` and offsets ``[B, N_l, 4]`` of every map."""
        logits = [per_anchor(x, self.num_classes) for x in self.classification_head(maps)]
        return logits, [per_anchor(x, 4) for x in self.regression_head(maps)]


class SSD(DenseDetector):
    """SSD of any backbone.

    Args:
        backbone, transform, classes: as in ``DenseDetector``; ``backbone.out_channels`` has the
            channels of its maps.
        priors: its anchors.

    Source: Liu et al., "SSD: Single Shot MultiBox Detector" (2016), figure 2.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model("ssd_resnet18", num_classes=3, width=8, extra_channels=16, size=96)
        >>> images = [torch.rand(3, 60, 80), torch.rand(3, 64, 64)]
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> losses = model.loss(model(images), [{"boxes": boxes, "labels": labels}] * 2)
        >>> sorted(losses)
        ['bbox_regression', 'classification']
        >>> model.predict(images, score_threshold=1.0)
        [Detections(0 boxes in 60x80), Detections(0 boxes in 64x64)]
    """

    def __init__(
        self,
        backbone: SSDVGG | SSDResNet,
        priors: PriorBoxes,
        transform: DetectionTransform,
        classes: Sequence[str],
    ) -> None:
        head = SSDHead(backbone.out_channels, priors.per_cell(), len(classes))
        # The inverses of the paper's "variances", 0.1 and 0.2.
        coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        super().__init__(backbone, head, priors, transform, coder, classes)
        self.matcher = MultiBoxMatcher(0.5)

    def rename_key(self, key: str) -> str:
        """amdegroot's checkpoints (``vgg.0.weight``, ``loc.0.weight``) load as well."""
        old = re.fullmatch(r"(vgg|extras|loc|conf|L2Norm)\.(?:(\d+)\.)?(weight|bias)", key)
        if not old:
            return key
        part, number, kind = old[1], int(old[2] or 0), old[3]
        if part == "L2Norm":
            return "backbone.scale_weight"
        if part == "extras":
            return f"backbone.extra.{number // 2 + 1}.{number % 2 * 2}.{kind}"
        if part == "vgg":
            if number < 23:
                return f"backbone.features.{number}.{kind}"
            place = f"{number - 23}" if number < 30 else f"7.{number - 30}"
            return f"backbone.extra.0.{place}.{kind}"
        head = "regression" if part == "loc" else "classification"
        return f"head.{head}_head.module_list.{number}.{kind}"

    def loss(self, output: DenseOutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The two terms of the paper, each over all matched priors of the batch.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels, ``labels`` ``[N]`` int64,
                1 and up, and where there are crowds ``iscrowd`` ``[N]``: these are left out.

        Returns:
            ``classification``, cross-entropy of matched priors and of three times as many
            negatives of each image, the hardest; ``bbox_regression``, smooth L1 of the offsets of
            matched priors.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image and the box.

        Source: Liu et al. (2016), equations 1 to 3.
        """
        priors = torch.cat(output.anchors)
        logits, deltas = torch.cat(output.logits, dim=1), torch.cat(output.deltas, dim=1)
        labels, target_deltas = [], []
        objects = objects_in_batch(targets, output.batch, len(self.classes), priors.dtype)
        for boxes, object_labels in objects:
            matches = self.matcher(box_iou(boxes, priors))
            positive = (matches >= 0).nonzero().flatten()
            label = torch.zeros_like(matches)
            label[positive] = object_labels[matches[positive]]
            labels.append(label)
            matched = boxes[matches[positive]]
            target_deltas.append(self.box_coder.encode(matched, priors[positive]))
        label = torch.stack(labels)
        positive = label > 0
        cost = F.cross_entropy(logits.flatten(0, 1), label.flatten(), reduction="none")
        cost = cost.view_as(label)
        counted = positive | hard_negatives(cost, positive)
        box_cost = F.smooth_l1_loss(
            deltas[positive], torch.cat(target_deltas).to(deltas.dtype), reduction="sum"
        )
        count = positive.sum().clamp(min=1)
        return {
            "classification": (cost * counted).sum() / count,
            "bbox_regression": box_cost / count,
        }

    def detect(
        self,
        output: DenseOutput,
        *,
        score_threshold: float = 0.01,
        iou_threshold: float = 0.45,
        max_detections: int = 200,
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score: tensors, for export.

        Args:
            output: of ``forward``.
            score_threshold: a class's probability must be above it. Of those, the 400 best of
                each class are decoded.
            iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
            max_detections: of an image, at most.
        """
        candidates = []
        for logits in torch.cat(output.logits, dim=1):
            by_class = logits.softmax(dim=1)[:, 1:].T.contiguous()
            scores, priors = by_class.topk(min(CANDIDATES, by_class.shape[1]), dim=1)
            label, rank = (scores > score_threshold).nonzero(as_tuple=True)
            candidates.append(Candidates(priors[label, rank], label + 1, scores[label, rank]))
        return self.found(
            output, candidates, iou_threshold=iou_threshold, max_detections=max_detections
        )


def _with_vgg(size: int, dataset: str, num_classes: int | None, trainable_layers: int) -> SSD:
    if (size, dataset) not in SCALES:
        raise ValueError(f"dataset must be 'coco' or 'voc', got {dataset!r}")
    count = len(class_names(dataset)) if num_classes is None else num_classes
    return SSD(
        SSDVGG(size, trainable_layers),
        PriorBoxes(
            ASPECT_RATIOS[size],
            SCALES[size, dataset],
            STEPS[size],
            # As in amdegroot's, the checkpoints for VOC that there are.
            clip_centres=dataset == "voc",
        ),
        DetectionTransform(mean=VGG_MEAN, std=VGG_STD, size_divisible=1, fixed_size=(size, size)),
        default_classes(dataset, count, with_background=True),
    )


@register(
    "ssd300_vgg16",
    task="detection",
    weights=[
        Weights(
            name="COCO_V1",
            url="https://download.pytorch.org/models/ssd300_vgg16_coco-b556d3b4.pth",
            sha256="b556d3b4",
            classes=class_names("coco"),
            licence="BSD-3-Clause",
            source="torchvision, references/detection; trained on COCO train2017",
            metric={"box mAP": 25.1},
            config={"trainable_layers": 4},
        )
    ],
)
def ssd300_vgg16(
    *, dataset: str = "coco", num_classes: int | None = None, trainable_layers: int = 5
) -> SSD:
    """SSD300 on VGG-16; torchvision's checkpoints load, and with ``dataset="voc"`` amdegroot's.

    Args:
        dataset: ``"coco"`` or ``"voc"``: whose prior boxes and names.
        num_classes: with the background; None: the data set's, 91 or 21.
        trainable_layers: of VGG's five stages, from the last backwards; 5 is all.

    Source: Liu et al., "SSD: Single Shot MultiBox Detector" (2016), sections 2.1 and 3.4.
    """
    return _with_vgg(300, dataset, num_classes, trainable_layers)


@register("ssd512_vgg16", task="detection")
def ssd512_vgg16(
    *, dataset: str = "coco", num_classes: int | None = None, trainable_layers: int = 5
) -> SSD:
    """SSD512 on VGG-16: seven maps of an image of 512 x 512 pixels.

    Args:
        dataset, num_classes, trainable_layers: as in ``ssd300_vgg16``.

    Source: Liu et al., "SSD: Single Shot MultiBox Detector" (2016), sections 3.1 and 3.4.
    """
    return _with_vgg(512, dataset, num_classes, trainable_layers)


@register("ssd_resnet18", task="detection")
def ssd_resnet18(
    *,
    num_classes: int = 91,
    width: int = 64,
    extra_channels: int = 256,
    size: int = 300,
    scales: Sequence[float] = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87),
) -> SSD:
    """A smaller SSD, on ResNet-18 of any width; five maps.

    Args:
        num_classes: with the background.
        width: channels of the backbone's first stage.
        extra_channels: of the two maps behind the backbone.
        size: what images are resized to, height and width in pixels.
        scales: of the priors, as in ``PriorBoxes``.
    """
    return SSD(
        SSDResNet(ResNetTrunk(18, width=width), extra_channels),
        PriorBoxes([(2,), (2, 3), (2, 3), (2, 3), (2,)], scales),
        DetectionTransform(size_divisible=1, fixed_size=(size, size)),
        default_classes("coco", num_classes, with_background=True),
    )
