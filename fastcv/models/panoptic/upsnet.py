"""UPSNet: a semantic head and Mask R-CNN on one pyramid, and a head that makes one map of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import IGNORE
from fastcv.models._registry import register
from fastcv.models.panoptic._panoptic_segmenter import PanopticSegmenter
from fastcv.models.panoptic._upsnet_keys import our_key
from fastcv.models.panoptic._upsnet_parts import ANCHORS, COCO_STUFF, LEVELS, upsnet_parts
from fastcv.nn.backbones.caffe_resnet import CaffeTransform, caffe_resnet
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.roi_branch import Frame
from fastcv.nn.detection.roi_heads import RoIHeads
from fastcv.nn.detection.rpn import RegionProposalNetwork, RPNOutput
from fastcv.nn.detection.targets import objects_in_batch, single_objects
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch, resize_boxes
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.nn.losses.segmentation_losses import pixel_cross_entropy
from fastcv.nn.panoptic.instance_selection import select_boxes, without_covered
from fastcv.nn.panoptic.logit_bands import logit_bands
from fastcv.nn.panoptic.losses import box_cross_entropy, panoptic_cross_entropy
from fastcv.nn.panoptic.panoptic_logits import panoptic_logits
from fastcv.nn.panoptic.segments import segments_of
from fastcv.nn.panoptic.semantic_head import SemanticHead
from fastcv.nn.panoptic.targets import (
    check_panoptic_targets,
    map_in_batch,
    panoptic_targets,
)
from fastcv.nn.precision import full_precision
from fastcv.results import Panoptic

STRIDE = 4  # of the pyramid's finest level
ROI_WEIGHT = 0.2  # of the semantic head's loss of boxes, beside that of all pixels
KEPT = 0.7  # of an image's objects, in the panoptic loss: the others are to be unknown


class UPSNetOutput(NamedTuple):
    """The network's outputs for a batch; boxes are in pixels of the batch."""

    batch: ImageBatch
    features: dict[str, Tensor]
    """``[B, C, H_l, W_l]`` for each level."""
    semantic: Tensor
    """``[B, classes, H / 4, W / 4]`` logits, those of stuff first."""
    rpn: RPNOutput
    proposals: list[Tensor]
    """For each image ``[N, 4]``."""
    class_logits: Tensor | None
    """``[K, 1 + things]`` for the proposals of all images, ``[K, 1 + things, 4]`` their offsets;
    None in training, where ``loss`` classifies samples of the proposals instead."""
    box_deltas: Tensor | None


class UPSNet(PanopticSegmenter):
    """UPSNet of any backbone.

    Args:
        backbone: normalised images ``[B, 3, H, W]`` to feature maps by name, four levels from
            stride 4 on and one more.
        rpn: proposes boxes.
        roi_heads: classifies and refines them, the background first; its branch ``mask`` draws
            them.
        semantic_head: four levels to logits of all classes.
        transform: images of any sizes to one normalised batch.
        classes: names by label, those of stuff first.
        num_stuff: how many of the classes are stuff.
        unknown: whether there is an unknown class: what seems to be a thing, but belongs to no
            instance, is void.
        min_stuff_area: stuff of fewer pixels in a picture is void.
        semantic_weight, panoptic_weight: of the losses of the two heads.

    Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network" (2019), figure 2.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "upsnet_resnet18_fpn", num_classes=5, num_stuff=2, width=8, fpn_channels=16,
        ...     head_channels=32, mask_channels=8, semantic_channels=8, min_size=64, max_size=96,
        ... )
        >>> semantic = torch.zeros(60, 80, dtype=torch.int64)  # stuff
        >>> semantic[10:40, 10:30] = 4  # a thing
        >>> targets = [{
        ...     "semantic": semantic, "masks": (semantic == 4)[None], "labels": torch.tensor([4]),
        ...     "boxes": torch.tensor([[10.0, 10, 30, 40]]),
        ... }]
        >>> losses = model.loss(model([torch.rand(3, 60, 80)]), targets)
        >>> [name for name in losses if "semantic" in name or "panoptic" in name]
        ['loss_semantic', 'loss_semantic_roi', 'loss_panoptic']
        >>> (found,) = model.predict(torch.rand(3, 60, 80))
        >>> found.segment_map.shape
        torch.Size([60, 80])
    """

    def __init__(
        self,
        backbone: nn.Module,
        rpn: RegionProposalNetwork,
        roi_heads: RoIHeads,
        semantic_head: SemanticHead,
        transform: DetectionTransform,
        classes: Sequence[str],
        *,
        num_stuff: int,
        unknown: bool = True,
        min_stuff_area: int = 4096,
        semantic_weight: float = 0.2,
        panoptic_weight: float = 0.1,
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads
        self.semantic_head = semantic_head
        self.classes = tuple(classes)
        self.num_stuff = num_stuff
        self.unknown = unknown
        self.min_stuff_area = min_stuff_area
        self.semantic_weight = semantic_weight
        self.panoptic_weight = panoptic_weight

    def rename_key(self, key: str) -> str:
        """The published program's keys to those of the detectors here."""
        return our_key(key)

    def forward(self, images: Sequence[Tensor] | Tensor) -> UPSNetOutput:
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        batch = self.transform(images)
        return self._output(batch, *self.dense(batch.tensors))

    def _output(
        self, batch: ImageBatch, features: dict[str, Tensor], semantic: Tensor, rpn: RPNOutput
    ) -> UPSNetOutput:
        """What ``dense`` gave, with proposals, and in eval mode their classes."""
        proposals = self.rpn.propose(rpn, batch.sizes)
        logits = deltas = None
        if not self.training:
            logits, deltas = self.roi_heads(features, proposals, batch.sizes)
        return UPSNetOutput(batch, features, semantic, rpn, proposals, logits, deltas)

    def dense(self, tensors: Tensor) -> tuple[dict[str, Tensor], Tensor, RPNOutput]:
        """What has shapes by the batch's alone: features, semantic logits, all anchors' outputs.

        Args:
            tensors: ``[B, 3, H, W]``, normalised and padded.
        """
        return self._heads(self.backbone(tensors), tensors)

    def _heads(
        self, features: dict[str, Tensor], tensors: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, RPNOutput]:
        semantic = full_precision(self.semantic_head([features[level] for level in LEVELS]))
        return features, semantic, self.rpn(list(features.values()), tensors.shape[-2:])

    # Training.

    def loss(self, output: UPSNetOutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Mask R-CNN's terms, and those of the semantic and the panoptic head.

        Args:
            output: of ``forward`` in training mode.
            targets: for each image of its things ``boxes`` ``[N, 4]`` in its pixels, ``labels``
                ``[N]`` int64 among the things of ``classes``, ``masks`` ``[N, H, W]`` bool, and
                where there are crowds ``iscrowd`` ``[N]``, which teach no box; and ``semantic``
                ``[H, W]`` int64, the class of each pixel, 255 for void.

        Returns:
            ``loss_objectness``, ``loss_rpn_box_reg``, ``loss_classifier``, ``loss_box_reg``,
            ``loss_mask``, ``loss_semantic``, ``loss_semantic_roi``, ``loss_panoptic``.

        Raises:
            TypeError, ValueError: a target that cannot be right; the sentence names the image.

        Source: Xiong et al. (2019), section 3.2; weights as in its section 4.1.
        """
        batch = output.batch
        check_panoptic_targets(
            targets, batch.original_sizes, num_classes=len(self.classes), num_stuff=self.num_stuff
        )
        boxes, labels = zip(*objects_in_batch(targets, batch, len(self.classes)), strict=True)
        # The first thing is the box head's class 1.
        own = [label - self.num_stuff + 1 for label in labels]
        losses = {
            **self.rpn.loss(output.rpn, boxes, batch.sizes),
            **self.roi_heads.loss(
                output.features,
                output.proposals,
                boxes,
                own,
                batch.sizes,
                targets,
                batch.original_sizes,
            ),
        }
        semantic, quarter = self._label_maps(targets, batch)
        full = F.interpolate(
            output.semantic, size=semantic.shape[-2:], mode="bilinear", align_corners=False
        )
        of_rois = box_cross_entropy(output.semantic, boxes, semantic, stride=STRIDE)
        of_pixels = self._panoptic_loss(output, targets, boxes, own, quarter)
        losses["loss_semantic"] = self.semantic_weight * pixel_cross_entropy(full, semantic)
        losses["loss_semantic_roi"] = self.semantic_weight * ROI_WEIGHT * of_rois
        losses["loss_panoptic"] = self.panoptic_weight * of_pixels
        return losses

    def _label_maps(
        self, targets: Sequence[dict[str, Any]], batch: ImageBatch
    ) -> tuple[Tensor, Tensor]:
        """The targets' label maps, ``[B, H, W]`` and ``[B, H / 4, W / 4]``."""
        size = (batch.tensors.shape[-2], batch.tensors.shape[-1])
        full, quarter = (
            torch.stack(
                [
                    map_in_batch(target["semantic"], frame, size, stride=stride, fill=IGNORE)
                    for target, frame in zip(targets, frames_of(batch), strict=True)
                ]
            )
            for stride in (1, STRIDE)
        )
        return full, quarter

    def _panoptic_loss(
        self,
        output: UPSNetOutput,
        targets: Sequence[dict[str, Any]],
        boxes: Sequence[Tensor],
        labels: Sequence[Tensor],
        semantic: Tensor,
    ) -> Tensor:
        """Cross-entropy of the pixels of each image, their mean; objects are the true ones."""
        kept = [self._kept(len(image_boxes), semantic.device) for image_boxes in boxes]
        boxes = [b[keep] for b, keep in zip(boxes, kept, strict=True)]
        labels = [label[keep] for label, keep in zip(labels, kept, strict=True)]
        masks = self._masks(output, boxes, labels)
        losses = []
        for i, frame in enumerate(frames_of(output.batch)):
            single, true = single_objects(targets[i]), targets[i]["masks"]
            true = (true if single is None else true[single])[kept[i]]
            logits = panoptic_logits(
                output.semantic[i],
                boxes[i] / STRIDE,
                labels[i] + self.num_stuff - 1,
                masks[i],
                num_stuff=self.num_stuff,
                unknown=self.unknown,
            )
            size = (output.batch.tensors.shape[-2], output.batch.tensors.shape[-1])
            expected = panoptic_targets(
                semantic[i],
                map_in_batch(true, frame, size, stride=STRIDE),
                num_stuff=self.num_stuff,
                unknown=self.unknown,
            )
            losses.append(panoptic_cross_entropy(logits, expected))
        return torch.stack(losses).mean()

    def _kept(self, objects: int, device: torch.device) -> Tensor:
        """Which of an image's objects the panoptic head is shown; at least one, where there is."""
        number = max(int(objects * KEPT), 1) if self.unknown else objects
        return torch.randperm(objects, device=device)[:number].sort().values

    def _masks(
        self, output: UPSNetOutput, boxes: Sequence[Tensor], labels: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """For each image logits ``[N, 28, 28]`` of the masks of its boxes' classes.

        Args:
            boxes: for each image ``[N, 4]`` in pixels of the batch.
            labels: for each image ``[N]``, 1 for the first thing.
        """
        label = torch.cat(list(labels))
        logits = self.roi_heads.branch_output("mask", output.features, boxes, output.batch.sizes)
        rows = torch.arange(label.shape[0], device=label.device)
        return torch.split(logits[rows, label], [b.shape[0] for b in boxes])

    # Prediction.

    def select(
        self,
        output: UPSNetOutput,
        *,
        score_threshold: float = 0.6,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
    ) -> list[FoundBoxes]:
        """The boxes that the panoptic head is given, in pixels of the batch, by falling score.

        Args:
            output: of ``forward`` in eval mode.
            score_threshold: a class's probability must be above it.
            iou_threshold: the lesser of two boxes that overlap more is dropped, whatever their
                classes.
            max_detections: of an image, at most.

        Returns:
            labels are 1 for the first thing.

        Raises:
            ValueError: ``output`` is of training mode.
        """
        if output.class_logits is None or output.box_deltas is None:
            raise ValueError(
                "output is of training mode, which stops at the proposals: eval() first"
            )
        counts = [boxes.shape[0] for boxes in output.proposals]  # not len(): export traces sizes
        return [
            select_boxes(
                logits,
                deltas,
                proposals,
                size,
                self.roi_heads.box_coder,
                score_threshold=score_threshold,
                iou_threshold=iou_threshold,
                max_detections=max_detections,
            )
            for logits, deltas, proposals, size in zip(
                torch.split(output.class_logits, counts),
                torch.split(output.box_deltas, counts),
                output.proposals,
                output.batch.sizes,
                strict=True,
            )
        ]

    def postprocess(
        self, output: UPSNetOutput, *, max_overlap: float = 0.3, **options: Any
    ) -> list[Panoptic]:
        """A segment for each pixel.

        Args:
            output: of ``forward`` in eval mode.
            max_overlap: an instance goes if a greater share of it lies on surer ones of its class.
            options: as of ``select``.
        """
        instances = self._instances(output, max_overlap, options)
        return [
            self._segments(semantic, *of_image)
            for semantic, of_image in zip(output.semantic, instances, strict=True)
        ]

    def _instances(
        self, output: UPSNetOutput, max_overlap: float, options: dict[str, Any]
    ) -> Iterator[tuple[FoundBoxes, Tensor, Frame]]:
        """For each image the boxes that stay, their masks' logits, and the image's sizes."""
        found = self.select(output, **options)
        masks = self._masks(output, [f.boxes for f in found], [f.labels for f in found])
        for own, of_boxes, frame in zip(found, masks, frames_of(output.batch), strict=True):
            kept = without_covered(own, of_boxes, frame.size, max_overlap=max_overlap)
            yield FoundBoxes(*(x[kept] for x in own)), of_boxes[kept], frame

    def _segments(
        self, semantic: Tensor, found: FoundBoxes, masks: Tensor, frame: Frame
    ) -> Panoptic:
        """Those of one image.

        Args:
            semantic: ``[classes, H / 4, W / 4]`` logits.
            found, masks, frame: of ``_instances``.
        """
        labels = found.labels + self.num_stuff - 1
        logits = logit_bands(
            semantic,
            found.boxes,
            labels,
            masks,
            stride=STRIDE,
            size=frame.size,
            num_stuff=self.num_stuff,
            unknown=self.unknown,
        )
        ids, label_of, score_of = segments_of(
            logits,
            labels,
            found.scores,
            num_stuff=self.num_stuff,
            min_stuff_area=self.min_stuff_area,
            size=frame.original_size,
        )
        return Panoptic.from_map(ids, label_of, self.classes, self.things, scores=score_of)

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        """The tensors that the panoptic head joins: ``masks`` and ``semantic`` are logits."""
        output = self([image])
        (found,), (frame,) = self.select(output), frames_of(output.batch)
        (masks,) = self._masks(output, [found.boxes], [found.labels])
        boxes = resize_boxes(found.boxes, frame.size, frame.original_size)
        given = FoundBoxes(boxes, found.scores, found.labels + self.num_stuff - 1)._asdict()
        return {**given, "masks": masks, "semantic": output.semantic[0]}

    def _option_takers(self) -> Sequence[Any]:
        return (*super()._option_takers(), self.select)


def frames_of(batch: ImageBatch) -> list[Frame]:
    """The sizes of each image of a batch."""
    return [Frame(*sizes) for sizes in zip(batch.original_sizes, batch.sizes, strict=True)]


@register("upsnet_resnet50_fpn", task="panoptic")
def upsnet_resnet50_fpn(
    *,
    num_classes: int = 133,
    num_stuff: int = COCO_STUFF,
    gap: bool = True,
    semantic_layers: int = 3,
    unknown: bool = True,
    min_stuff_area: int = 4096,
    semantic_weight: float = 0.2,
    panoptic_weight: float = 0.1,
    frozen_norm: bool = False,
    norm_eps: float = 1e-5,
    trainable_layers: int = 5,
    min_size: int = 800,
    max_size: int = 1333,
) -> UPSNet:
    """UPSNet on ResNet-50 with a feature pyramid; the published program's checkpoints load.

    As it is, it is COCO's. Cityscapes' has ``num_classes=19, num_stuff=11, gap=False``, images of
    1024 to 2048 pixels, ``min_stuff_area=2048``, and weights of 1 and 0.5.

    Args:
        num_classes: stuff and things.
        num_stuff: how many of them are stuff; these come first.
        gap: the pyramid's deepest level is told the mean over the picture.
        semantic_layers: deformable convolutions of the semantic head, at least 2.
        unknown: what seems to be a thing, but belongs to no instance, is void.
        min_stuff_area: stuff of fewer pixels in a picture is void.
        semantic_weight, panoptic_weight: of the losses of the two heads.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        norm_eps: what frozen norms add to the variance.
        trainable_layers: of the backbone, from the last stage backwards; 5 is all, the paper has 3.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network" (2019), section 4.1.
    """
    norm = partial(FrozenBatchNorm2d, eps=norm_eps) if frozen_norm else nn.BatchNorm2d
    parts = upsnet_parts(
        caffe_resnet(50, norm),
        num_classes=num_classes,
        num_stuff=num_stuff,
        trainable_layers=trainable_layers,
        gap=gap,
        semantic_layers=semantic_layers,
    )
    return UPSNet(
        **parts,
        transform=CaffeTransform(min_size, max_size),
        unknown=unknown,
        min_stuff_area=min_stuff_area,
        semantic_weight=semantic_weight,
        panoptic_weight=panoptic_weight,
    )


@register("upsnet_resnet18_fpn", task="panoptic")
def upsnet_resnet18_fpn(
    *,
    num_classes: int = 133,
    num_stuff: int = COCO_STUFF,
    width: int = 64,
    fpn_channels: int = 256,
    head_channels: int = 1024,
    mask_channels: int = 256,
    semantic_channels: int = 128,
    rois_per_image: int = 512,
    anchor_sizes: Sequence[Sequence[float]] = ANCHORS,
    unknown: bool = True,
    min_stuff_area: int = 4096,
    semantic_weight: float = 0.2,
    panoptic_weight: float = 0.1,
    min_size: int = 800,
    max_size: int = 1333,
) -> UPSNet:
    """A smaller UPSNet, on ResNet-18 of any width with a feature pyramid.

    It takes pixels as the other models here do, in RGB with ImageNet's mean and deviation.

    Args:
        num_classes: stuff and things.
        num_stuff: how many of them are stuff; these come first.
        width: channels of the backbone's first stage.
        fpn_channels: channels of the pyramid.
        head_channels: numbers that describe a proposal.
        mask_channels: of the mask branch's convolutions.
        semantic_channels: of the semantic head, for each level.
        rois_per_image: proposals of an image in the loss.
        anchor_sizes: sides of the anchors for each of the five levels, in pixels after resizing.
        unknown: what seems to be a thing, but belongs to no instance, is void.
        min_stuff_area: stuff of fewer pixels in a picture is void.
        semantic_weight, panoptic_weight: of the losses of the two heads.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
    """
    parts = upsnet_parts(
        ResNetTrunk(18, width=width),
        num_classes=num_classes,
        num_stuff=num_stuff,
        fpn_channels=fpn_channels,
        head_channels=head_channels,
        mask_channels=mask_channels,
        semantic_channels=semantic_channels,
        rois_per_image=rois_per_image,
        anchor_sizes=anchor_sizes,
    )
    return UPSNet(
        **parts,
        transform=DetectionTransform(min_size, max_size),
        unknown=unknown,
        min_stuff_area=min_stuff_area,
        semantic_weight=semantic_weight,
        panoptic_weight=panoptic_weight,
    )
