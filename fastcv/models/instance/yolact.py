"""YOLACT: masks without RoIs, each a sum of prototypes that the whole picture shares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import class_names, default_classes
from fastcv.models._model import ignore_keys
from fastcv.models._registry import register
from fastcv.models.detection._detector import Detector
from fastcv.models.instance._instance_segmenter import InstanceSegmenter
from fastcv.nn.backbones.darknet53 import Darknet53Trunk
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.ssd_backbone import xavier
from fastcv.nn.backbones.yolact_fpn import EXTRA_LEVELS, YOLACTPyramid
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.hard_negatives import hard_negatives
from fastcv.nn.detection.level_priors import LevelPriors
from fastcv.nn.detection.mask_branch import MaskBranch
from fastcv.nn.detection.matching import BELOW, BETWEEN, GreedyMatcher
from fastcv.nn.detection.prototypes import (
    ProtoNet,
    PrototypeHead,
    combined,
    masks_as_large,
)
from fastcv.nn.detection.targets import objects_in_batch, single_objects
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch, resize_boxes
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.nn.losses.prototype_losses import class_map_loss, prototype_mask_loss
from fastcv.nn.precision import full_precision
from fastcv.ops import batched_nms, box_area, box_iou, clip_boxes_to_image, fast_nms, proto_masks
from fastcv.results import Instances

SIZE = 550  # section 5: height and width of the input
SCALES = (24, 48, 96, 192, 384)  # section 5, in pixels of the input
PROTOTYPES = 32  # table 2 (b)
STAGES = 3  # of the backbone, the last ones: figure 2
TOP_K = 200  # boxes of a class that NMS looks at
MAX_MASKS = 100  # of an image, in the loss
CROWD_SHARE = 0.7  # of a prior, from which on it is no background
BOX_WEIGHT, MASK_WEIGHT = 1.5, 6.125  # section 5; the others are 1

# Of RGB in [0, 1]; the paper's are of 0 to 255.
MEAN = (123.68 / 255, 116.78 / 255, 103.94 / 255)
STD = (58.40 / 255, 57.12 / 255, 57.38 / 255)

COCO = tuple(name for name in class_names("coco") if name != "(unused)")


class YOLACTOutput(NamedTuple):
    """The network's outputs for every prior of all levels, and the prototypes."""

    batch: ImageBatch
    logits: Tensor
    """``[B, N, classes]``."""
    deltas: Tensor
    """``[B, N, 4]``."""
    coefficients: Tensor
    """``[B, N, K]`` in [-1, 1]."""
    prototypes: Tensor
    """``[B, K, h, w]``, 0 and up."""
    priors: Tensor
    """``[N, 4]`` in pixels of the batch, the same for all images."""
    finest: Tensor
    """``[B, channels, h, w]``: the pyramid's finest map, for the loss."""


class YOLACT(Detector, InstanceSegmenter):
    """YOLACT of any backbone.

    Args:
        backbone: normalised images ``[B, 3, H, W]`` to a list of maps; ``out_channels`` has their
            channels.
        transform: images of any sizes to one normalised batch of one size.
        classes: names by label; the first is the background.
        channels: of the pyramid, the prototype net and the head.
        prototypes: how many there are.
        priors: of the pyramid's levels, two more than
        stages: how many of the backbone's maps it is made of, the last ones.

    Source: Bolya et al., "YOLACT: Real-time Instance Segmentation" (2019), figure 2.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "yolact_resnet18", num_classes=3, width=8, channels=16, prototypes=8, size=96
        ... )
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> masks = torch.zeros(1, 60, 80, dtype=torch.bool)
        >>> masks[0, 10:40, 10:30] = True
        >>> targets = [{"boxes": boxes, "labels": labels, "masks": masks}]
        >>> losses = model.loss(model([torch.rand(3, 60, 80)]), targets)
        >>> sorted(losses)
        ['bbox_regression', 'classification', 'mask', 'semantic']
        >>> (found,) = model.predict(torch.rand(3, 60, 80), score_threshold=0.0)
        >>> found.masks.shape[1:]
        torch.Size([60, 80])
    """

    def __init__(
        self,
        backbone: ResNetTrunk | Darknet53Trunk,
        transform: DetectionTransform,
        classes: Sequence[str],
        *,
        channels: int,
        prototypes: int,
        priors: LevelPriors,
        stages: int = STAGES,
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.stages = stages
        self.fpn = YOLACTPyramid(backbone.out_channels[-stages:], channels)
        self.proto_net = ProtoNet(channels, prototypes)
        head = PrototypeHead(channels, priors.per_cell(), len(classes), prototypes)
        self.prediction_layers = nn.ModuleList([head])  # one for all levels
        self.semantic_seg_conv = nn.Conv2d(channels, len(classes) - 1, 1)
        xavier(self.semantic_seg_conv)
        self.priors = priors
        # The inverses of SSD's "variances", 0.1 and 0.2.
        self.box_coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
        self.matcher = GreedyMatcher(0.5, 0.4)
        self.classes = tuple(classes)
        # Old files have layers for more levels, which nothing used.
        ignore_keys(self, *(f"fpn.downsample_layers.{i}." for i in range(EXTRA_LEVELS, 8)))

    def rename_key(self, key: str) -> str:
        """dbolya's ``backbone.layers.0`` of a ResNet is ``backbone.layer1``.

        Old files have both, with the same values.
        """
        found = re.fullmatch(r"backbone\.layers\.([0-3])\.(\d.*)", key)
        if found is None or not isinstance(self.backbone, ResNetTrunk):
            return key
        return f"backbone.layer{int(found[1]) + 1}.{found[2]}"

    def forward(self, images: Sequence[Tensor] | Tensor) -> YOLACTOutput:
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        batch = self.transform(images)
        return YOLACTOutput(batch, *self.dense(batch.tensors))

    def pyramid(self, tensors: Tensor) -> list[Tensor]:
        """The maps of all levels, finest first, of ``[B, 3, H, W]``, normalised."""
        return self.fpn(self.backbone(tensors)[-self.stages :])

    def dense(self, tensors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """All of the output but the batch; shapes depend on the batch's alone.

        Args:
            tensors: ``[B, 3, H, W]``, normalised.
        """
        return self.heads(self.pyramid(tensors), (tensors.shape[2], tensors.shape[3]))

    def heads(
        self, maps: list[Tensor], input_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """``dense``, of the pyramid's maps and the input's height and width."""
        prototypes = full_precision(self.proto_net(maps[0]))
        return (
            *self.prediction_layers[0](maps),
            prototypes,
            self.priors(input_size, maps),
            maps[0],
        )

    def loss(self, output: YOLACTOutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The four terms; all but the last are over the matched priors of the batch.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels, ``labels`` ``[N]`` int64,
                1 and up, ``masks`` ``[N, H, W]`` bool of its size, and where there are crowds
                ``iscrowd`` ``[N]``: these are no objects, and priors that lie in them are no
                background.

        Returns:
            ``classification``, cross-entropy of matched priors and of three times as many
            negatives of each image, the hardest; ``bbox_regression``, 1.5 times smooth L1 of the
            offsets; ``mask``, 6.125 times the cross-entropy of the masks' pixels in their boxes,
            over the boxes' areas; ``semantic``, the mean over the images of the cross-entropy of
            a map of each class.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image.

        Source: Bolya et al. (2019), sections 3.2, 4.2 and 5, and the published training.
        """
        objects = self._objects(output, targets)
        labels = torch.stack([image.prior_labels for image in objects])
        positive = labels > 0
        count = positive.sum().clamp(min=1)
        matched = [image.boxes[image.matches[image.matches >= 0]] for image in objects]
        priors = output.priors.expand(len(labels), -1, -1)[positive]
        offsets = self.box_coder.encode(torch.cat(matched), priors).to(output.deltas.dtype)
        box_cost = F.smooth_l1_loss(output.deltas[positive], offsets, reduction="sum")
        mask_costs = [_mask_cost(output, i, image) for i, image in enumerate(objects)]
        finest = full_precision(self.semantic_seg_conv(output.finest))
        size = (finest.shape[2], finest.shape[3])
        return {
            "classification": _class_cost(output.logits, labels) / count,
            "bbox_regression": BOX_WEIGHT * box_cost / count,
            "mask": MASK_WEIGHT * torch.stack(mask_costs).sum() / count,
            "semantic": class_map_loss(
                finest,
                [masks_as_large(image.masks, size) for image in objects],
                [image.labels for image in objects],
            ),
        }

    @torch.no_grad()
    def _objects(self, output: YOLACTOutput, targets: list[dict[str, Any]]) -> list[_Objects]:
        """What is to be found in each image, and which prior answers for what."""
        batch, priors = output.batch, output.priors
        boxes = objects_in_batch(targets, batch, len(self.classes), priors.dtype)
        _check_masks(targets, batch.original_sizes)
        objects = []
        for target, (of_objects, labels), old, new in zip(
            targets, boxes, batch.original_sizes, batch.sizes, strict=True
        ):
            single = single_objects(target)
            masks = target["masks"] if single is None else target["masks"][single]
            matches = self.matcher(box_iou(of_objects, priors))
            if single is not None:
                crowds = resize_boxes(target["boxes"][~single].to(priors.dtype), old, new)
                lies_in_crowd = (_share_inside(priors, crowds) > CROWD_SHARE).any(dim=1)
                matches = matches.masked_fill(lies_in_crowd & (matches == BELOW), BETWEEN)
            prior_labels = matches.clamp(max=0)
            prior_labels[matches == BELOW] = 0
            positive = matches >= 0
            prior_labels[positive] = labels[matches[positive]]
            objects.append(_Objects(of_objects, labels, masks, matches, prior_labels))
        return objects

    def detect(
        self,
        output: YOLACTOutput,
        *,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
        nms: str = "fast",
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score: tensors, for export.

        Args:
            output: of ``forward``.
            score_threshold: a class's probability must be above it.
            iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
            max_detections: of an image, at most.
            nms: ``"fast"``, which looks at the 200 best boxes of a class and drops a little more
                than it would have to, or ``"exact"``.

        Raises:
            ValueError: another ``nms``.

        Source: Bolya et al. (2019), section 4.1.
        """
        found = self._detect(output, score_threshold, iou_threshold, max_detections, nms)
        return [boxes for boxes, _ in found]

    def postprocess(
        self, output: YOLACTOutput, *, mask_threshold: float = 0.5, **options: Any
    ) -> list[Instances]:
        """What was found, with a mask of the picture's size for each box.

        The field ``coefficients`` ``[N, K]`` says how much each object takes of each prototype.

        Args:
            output: of ``forward``.
            mask_threshold: a mask's pixels are more probable than this.
            options: as of ``detect``.
        """
        results = []
        for (found, coefficients), prototypes, size in zip(
            self._detect(output, **options),
            output.prototypes,
            output.batch.original_sizes,
            strict=True,
        ):
            masks = proto_masks(prototypes, coefficients, found.boxes, size, mask_threshold)
            fields = {"coefficients": coefficients}
            results.append(Instances(*found, self.classes, size, masks=masks, fields=fields))
        return results

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        output = self([image])
        # ONNX has exact NMS alone.
        ((found, coefficients),) = self._detect(output, nms="exact")
        return {
            **found._asdict(),
            "coefficients": coefficients,
            "prototypes": output.prototypes[0],
        }

    def _detect(
        self,
        output: YOLACTOutput,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
        nms: str = "fast",
    ) -> list[tuple[FoundBoxes, Tensor]]:
        """``detect``, and of each box the coefficients."""
        if nms not in ("fast", "exact"):
            raise ValueError(f"nms must be 'fast' or 'exact', got {nms!r}")
        batch, found = output.batch, []
        for logits, deltas, coefficients, size, original_size in zip(
            output.logits,
            output.deltas,
            output.coefficients,
            batch.sizes,
            batch.original_sizes,
            strict=True,
        ):
            scores = logits.softmax(dim=1)[:, 1:]
            above = (scores > score_threshold).any(dim=1).nonzero().flatten()
            boxes = self.box_coder.decode(deltas[above], output.priors[above])
            by_class = scores[above].T.contiguous()
            if nms == "fast":
                keep, label = fast_nms(boxes, by_class, iou_threshold, TOP_K)
                surely = by_class[label, keep] > score_threshold
                keep, label = keep[surely], label[surely]
            else:
                label, box = (by_class > score_threshold).nonzero(as_tuple=True)
                order = batched_nms(boxes[box], by_class[label, box], label, iou_threshold)
                keep, label = box[order], label[order]
            keep, label = keep[:max_detections], label[:max_detections]
            inside = resize_boxes(clip_boxes_to_image(boxes[keep], size), size, original_size)
            kept = FoundBoxes(inside, by_class[label, keep], label + 1)
            found.append((kept, coefficients[above[keep]]))
        return found


class _Objects(NamedTuple):
    """What is to be found in an image."""

    boxes: Tensor
    """``[N, 4]`` in pixels of the batch."""
    labels: Tensor
    """``[N]`` int64, 1 and up."""
    masks: Tensor
    """``[N, H, W]`` of the image's size."""
    matches: Tensor
    """``[priors]`` int64: the object, ``BELOW`` or ``BETWEEN``."""
    prior_labels: Tensor
    """``[priors]`` int64: a class, 0 for background, below 0 for neither."""


def _check_masks(targets: Sequence[dict[str, Any]], sizes: Sequence[tuple[int, int]]) -> None:
    """Raises ``ValueError`` where the masks are not as ``loss`` wants them."""
    for i, (target, size) in enumerate(zip(targets, sizes, strict=True)):
        if wrong := MaskBranch().check(target, size):
            raise ValueError(f"targets[{i}]{'' if wrong.startswith('must') else ':'} {wrong}")


def _share_inside(boxes: Tensor, crowds: Tensor) -> Tensor:
    """The share of each box's area that lies in each crowd, ``[N, M]``."""
    low = torch.maximum(boxes[:, None, :2], crowds[:, :2])
    high = torch.minimum(boxes[:, None, 2:], crowds[:, 2:])
    return (high - low).clamp(min=0).prod(dim=2) / box_area(boxes)[:, None]


def _class_cost(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the matched priors and of the hardest negatives, summed."""
    positive = labels > 0
    # Of a negative this is its cross-entropy. What is neither comes last.
    hardness = (logits.detach().logsumexp(dim=2) - logits.detach()[..., 0]).masked_fill(
        labels < 0, -torch.inf
    )
    counted = (positive | hard_negatives(hardness, positive)) & (labels >= 0)
    return F.cross_entropy(logits[counted], labels[counted], reduction="sum")


def _mask_cost(output: YOLACTOutput, i: int, image: _Objects) -> Tensor:
    """Of the matched priors of image i, the costs of their masks, summed."""
    positive = (image.matches >= 0).nonzero().flatten()
    chosen = positive
    if len(positive) > MAX_MASKS:
        order = torch.randperm(len(positive), device=positive.device)
        chosen = positive[order[:MAX_MASKS]]
    matched = image.matches[chosen]
    logits = full_precision(combined(output.prototypes[i], output.coefficients[i][chosen]))
    size = (logits.shape[1], logits.shape[2])
    masks = masks_as_large(image.masks, size).to(logits.dtype)[matched]
    boxes = resize_boxes(image.boxes[matched], output.batch.sizes[i], size)
    cost = prototype_mask_loss(logits, masks, boxes).sum()
    return cost * (len(positive) / max(len(chosen), 1))


def _yolact(
    backbone: ResNetTrunk | Darknet53Trunk,
    *,
    num_classes: int,
    channels: int = 256,
    prototypes: int = PROTOTYPES,
    size: int = SIZE,
    scales: Sequence[float] = SCALES,
    square_anchors: bool,
    stages: int = STAGES,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> YOLACT:
    names = COCO
    if num_classes != len(COCO):
        names = default_classes("coco", num_classes, with_background=True)
    return YOLACT(
        backbone,
        DetectionTransform(mean=mean, std=std, size_divisible=1, fixed_size=(size, size)),
        names,
        channels=channels,
        prototypes=prototypes,
        priors=LevelPriors(scales, square_anchors=square_anchors),
        stages=stages,
    )


def _resnet(depth: int, frozen_norm: bool) -> ResNetTrunk:
    return ResNetTrunk(depth, norm_layer=FrozenBatchNorm2d if frozen_norm else nn.BatchNorm2d)


@register("yolact_resnet50", task="instance")
def yolact_resnet50(
    *, num_classes: int = 81, frozen_norm: bool = False, square_anchors: bool = True
) -> YOLACT:
    """YOLACT on ResNet-50; dbolya's checkpoints load.

    Args:
        num_classes: with the background.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        square_anchors: every prior is a square, as the published weights have learned; False: as
            the paper has them.

    Source: Bolya et al., "YOLACT: Real-time Instance Segmentation" (2019), table 1.
    """
    return _yolact(_resnet(50, frozen_norm), num_classes=num_classes, square_anchors=square_anchors)


@register("yolact_resnet101", task="instance")
def yolact_resnet101(
    *, num_classes: int = 81, frozen_norm: bool = False, square_anchors: bool = True
) -> YOLACT:
    """YOLACT on ResNet-101, the paper's base model; dbolya's checkpoints load.

    Args:
        num_classes, frozen_norm, square_anchors: as of ``yolact_resnet50``.

    Source: Bolya et al., "YOLACT: Real-time Instance Segmentation" (2019), section 5.
    """
    return _yolact(
        _resnet(101, frozen_norm), num_classes=num_classes, square_anchors=square_anchors
    )


@register("yolact_darknet53", task="instance")
def yolact_darknet53(*, num_classes: int = 81, square_anchors: bool = True) -> YOLACT:
    """YOLACT on Darknet-53; dbolya's checkpoints load.

    Its images come as they are, in [0, 1]: Darknet knows no mean.

    Args:
        num_classes, square_anchors: as of ``yolact_resnet50``.

    Source: Bolya et al., "YOLACT: Real-time Instance Segmentation" (2019), table 1.
    """
    return _yolact(
        Darknet53Trunk(),
        num_classes=num_classes,
        square_anchors=square_anchors,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


@register("yolact_resnet18", task="instance")
def yolact_resnet18(
    *,
    num_classes: int = 81,
    width: int = 64,
    channels: int = 256,
    prototypes: int = PROTOTYPES,
    size: int = SIZE,
    scales: Sequence[float] = SCALES,
    square_anchors: bool = False,
    stages: int = STAGES,
) -> YOLACT:
    """A smaller YOLACT, on ResNet-18 of any width.

    Args:
        num_classes: with the background.
        width: channels of the backbone's first stage.
        channels: of the pyramid, the prototype net and the head.
        prototypes: how many there are.
        size: what images are resized to, height and width in pixels.
        scales: of the priors of each level, in pixels after resizing; two more than
        stages: of the backbone's four, those that the pyramid is made of. With all four the
            prototypes have half of the input's sides, not a quarter.
        square_anchors: as of ``yolact_resnet50``.
    """
    return _yolact(
        ResNetTrunk(18, width=width),
        num_classes=num_classes,
        channels=channels,
        prototypes=prototypes,
        size=size,
        scales=scales,
        square_anchors=square_anchors,
        stages=stages,
    )
