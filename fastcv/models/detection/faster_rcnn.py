"""Faster R-CNN: proposals from the feature map itself, then a class and a box for each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

from fastcv.classes import class_names, default_classes
from fastcv.models._registry import register
from fastcv.models._weights import Weights
from fastcv.models.detection._two_stage import TwoStageDetector
from fastcv.nn.backbones.fpn import LastLevelMaxPool
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.resnet_fpn import ResNetFPN
from fastcv.nn.backbones.vgg import VGGBackbone, VGGTrunk
from fastcv.nn.detection.anchors import AnchorGenerator
from fastcv.nn.detection.roi_heads import (
    FastRCNNPredictor,
    RoIHeads,
    SingleLevelRoIPool,
    TwoMLPHead,
)
from fastcv.nn.detection.rpn import RegionProposalNetwork, RPNHead, RPNOutput
from fastcv.nn.detection.targets import objects_in_batch
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.ops import MultiScaleRoIAlign


class FasterRCNNOutput(NamedTuple):
    """The network's outputs for a batch; boxes are in pixels of the batch."""

    batch: ImageBatch
    features: dict[str, Tensor]
    """``[B, C, H_l, W_l]`` for each level."""
    rpn: RPNOutput
    proposals: list[Tensor]
    """For each image ``[N, 4]``."""
    class_logits: Tensor | None
    """``[K, classes]`` for the proposals of all images, ``[K, classes, 4]`` their offsets; None in
    training, where ``loss`` classifies samples of the proposals instead."""
    box_deltas: Tensor | None


class FasterRCNN(TwoStageDetector):
    """Faster R-CNN of any backbone.

    Args:
        backbone: normalised images ``[B, 3, H, W]`` to feature maps by name.
        rpn: proposes boxes.
        roi_heads: classifies and refines them.
        transform: images of any sizes to one normalised batch.
        classes: names by label; the first is the background.

    Source: Ren et al., "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal
        Networks" (2015), figure 2.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "fasterrcnn_resnet18_fpn", num_classes=3, width=8, fpn_channels=16,
        ...     head_channels=32, min_size=64, max_size=96,
        ... )
        >>> images = [torch.rand(3, 60, 80), torch.rand(3, 64, 64)]
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> losses = model.loss(model(images), [{"boxes": boxes, "labels": labels}] * 2)
        >>> sorted(losses)
        ['loss_box_reg', 'loss_classifier', 'loss_objectness', 'loss_rpn_box_reg']
        >>> model.predict(images, score_threshold=0.99)
        [Detections(0 boxes in 60x80), Detections(0 boxes in 64x64)]
    """

    def __init__(
        self,
        backbone: nn.Module,
        rpn: RegionProposalNetwork,
        roi_heads: RoIHeads,
        transform: DetectionTransform,
        classes: Sequence[str],
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.rpn = rpn
        self.roi_heads = roi_heads
        self.classes = tuple(classes)

    def forward(self, images: Sequence[Tensor] | Tensor) -> FasterRCNNOutput:
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        batch = self.transform(images)
        features, rpn = self.dense(batch.tensors)
        proposals = self.rpn.propose(rpn, batch.sizes)
        logits = deltas = None
        if not self.training:
            logits, deltas = self.roi_heads(features, proposals, batch.sizes)
        return FasterRCNNOutput(batch, features, rpn, proposals, logits, deltas)

    def dense(self, tensors: Tensor) -> tuple[dict[str, Tensor], RPNOutput]:
        """The part whose shapes depend on the batch's alone: features, and all anchors' outputs.

        Args:
            tensors: ``[B, 3, H, W]``, normalised and padded.
        """
        features = self.backbone(tensors)
        return features, self.rpn(list(features.values()), tensors.shape[-2:])

    def loss(self, output: FasterRCNNOutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The four terms of the paper, of samples of the anchors and of the proposals.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels, ``labels`` ``[N]`` int64,
                1 and up, and where there are crowds ``iscrowd`` ``[N]``: these are left out.

        Returns:
            ``loss_objectness``, ``loss_rpn_box_reg``, ``loss_classifier``, ``loss_box_reg``; and of
            each branch of ``roi_heads`` its own.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image and the box.

        Source: Ren et al. (2015), equation 1; Girshick, "Fast R-CNN" (2015), equation 1.
        """
        batch, features, rpn, proposals, *_ = output
        boxes, labels = zip(*objects_in_batch(targets, batch, len(self.classes)), strict=True)
        return {
            **self.rpn.loss(rpn, boxes, batch.sizes),
            **self.roi_heads.loss(
                features, proposals, boxes, labels, batch.sizes, targets, batch.original_sizes
            ),
        }


FPN_ANCHORS = ((32,), (64,), (128,), (256,), (512,))
Kind = TypeVar("Kind", bound=FasterRCNN)


def with_fpn(
    kind: type[Kind],
    depth: int,
    *,
    num_classes: int,
    frozen_norm: bool,
    norm_eps: float = 1e-5,
    trainable_layers: int = 5,
    width: int = 64,
    fpn_channels: int = 256,
    head_channels: int = 1024,
    rois_per_image: int = 512,
    anchor_sizes: Sequence[Sequence[float]] = FPN_ANCHORS,
    min_size: int = 800,
    max_size: int = 1333,
) -> Kind:
    """A Faster R-CNN, or a kind of it, on a ResNet of any depth and width with a feature pyramid.

    Args:
        kind: the class.
        depth: of the ResNet.
        frozen_norm, norm_eps, trainable_layers, rois_per_image, anchor_sizes, min_size, max_size:
            as the registered builders have them.
        num_classes: with the background.
        width: channels of the backbone's first stage.
        fpn_channels: channels of the pyramid.
        head_channels: numbers that describe a proposal.
    """
    norm = partial(FrozenBatchNorm2d, eps=norm_eps) if frozen_norm else nn.BatchNorm2d
    backbone = ResNetFPN(
        ResNetTrunk(depth, width=width, norm_layer=norm),
        fpn_channels,
        LastLevelMaxPool(),
        trainable_layers,
    )
    anchors = AnchorGenerator(anchor_sizes)
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2)
    return kind(
        backbone,
        RegionProposalNetwork(anchors, RPNHead(fpn_channels, anchors.anchors_per_cell())),
        RoIHeads(
            pool,
            TwoMLPHead(fpn_channels * 7 * 7, head_channels),
            FastRCNNPredictor(head_channels, num_classes),
            batch_size_per_image=rois_per_image,
        ),
        DetectionTransform(min_size, max_size),
        default_classes("coco", num_classes, with_background=True),
    )


@register(
    "fasterrcnn_resnet50_fpn",
    task="detection",
    weights=[
        Weights(
            name="COCO_V1",
            url="https://download.pytorch.org/models/fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
            sha256="258fb6c6",
            classes=class_names("coco"),
            licence="BSD-3-Clause",
            source="torchvision, references/detection; trained on COCO train2017",
            metric={"box mAP": 37.0},
            # As they were trained: a few images a step would spoil the statistics.
            config={"frozen_norm": True, "norm_eps": 0.0, "trainable_layers": 3},
        )
    ],
)
def fasterrcnn_resnet50_fpn(
    *,
    num_classes: int = 91,
    frozen_norm: bool = False,
    norm_eps: float = 1e-5,
    trainable_layers: int = 5,
    min_size: int = 800,
    max_size: int = 1333,
) -> FasterRCNN:
    """Faster R-CNN on ResNet-50 with a feature pyramid; torchvision's checkpoints load.

    Args:
        num_classes: with the background.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        norm_eps: what frozen norms add to the variance; the published weights know none.
        trainable_layers: of the backbone, from the last stage backwards; 5 is all.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: Lin et al., "Feature Pyramid Networks for Object Detection" (2017), section 4.2.
    """
    return with_fpn(
        FasterRCNN,
        50,
        num_classes=num_classes,
        frozen_norm=frozen_norm,
        norm_eps=norm_eps,
        trainable_layers=trainable_layers,
        min_size=min_size,
        max_size=max_size,
    )


@register("fasterrcnn_resnet18_fpn", task="detection")
def fasterrcnn_resnet18_fpn(
    *,
    num_classes: int = 91,
    width: int = 64,
    fpn_channels: int = 256,
    head_channels: int = 1024,
    rois_per_image: int = 512,
    anchor_sizes: Sequence[Sequence[float]] = FPN_ANCHORS,
    min_size: int = 800,
    max_size: int = 1333,
) -> FasterRCNN:
    """A smaller Faster R-CNN, on ResNet-18 of any width with a feature pyramid.

    Args:
        num_classes: with the background.
        width: channels of the backbone's first stage.
        fpn_channels: channels of the pyramid.
        head_channels: numbers that describe a proposal.
        rois_per_image: proposals of an image in the loss.
        anchor_sizes: sides of the anchors for each of the five levels, in pixels after resizing.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
    """
    return with_fpn(
        FasterRCNN,
        18,
        num_classes=num_classes,
        frozen_norm=False,
        width=width,
        fpn_channels=fpn_channels,
        head_channels=head_channels,
        rois_per_image=rois_per_image,
        anchor_sizes=anchor_sizes,
        min_size=min_size,
        max_size=max_size,
    )


@register("fasterrcnn_vgg16", task="detection")
def fasterrcnn_vgg16(
    *, num_classes: int = 21, min_size: int = 600, max_size: int = 1000
) -> FasterRCNN:
    """Faster R-CNN as in the paper: VGG-16, one feature map, RoIPool, nine anchors.

    Args:
        num_classes: with the background; 21 for PASCAL VOC.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: Ren et al., "Faster R-CNN" (2015), section 3.3.
    """
    anchors = AnchorGenerator([[128, 256, 512]])
    rpn = RegionProposalNetwork(
        anchors,
        RPNHead(512, anchors.anchors_per_cell(), objectness_outputs=2),
        pre_nms_top_n=(12000, 6000),
        post_nms_top_n=(2000, 300),
        min_size=16,
        ignore_cross_boundary=True,
    )
    roi_heads = RoIHeads(
        SingleLevelRoIPool(7, stride=16),
        TwoMLPHead(512 * 7 * 7, 4096, dropout=0.5),
        FastRCNNPredictor(4096, num_classes),
        batch_size_per_image=128,
        smooth_l1_beta=1.0,
    )
    transform = DetectionTransform(min_size, max_size)
    return FasterRCNN(
        VGGBackbone(VGGTrunk(16)),
        rpn,
        roi_heads,
        transform,
        default_classes("voc", num_classes, with_background=True),
    )
