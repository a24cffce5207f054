"""DensePose R-CNN: Faster R-CNN with a branch that says where on the body each pixel lies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.models._registry import register
from fastcv.models.detection._two_stage import TwoStageOutput
from fastcv.models.detection.faster_rcnn import FPN_ANCHORS, FasterRCNN, with_fpn
from fastcv.models.landmarks._dense_pose_detector import DensePoseDetector
from fastcv.nn.detection.densepose_branch import (
    DecodedRoIAlign,
    DensePoseBranch,
    DensePoseHead,
    DensePosePredictor,
    PyramidDecoder,
    surface_on_pixels,
)
from fastcv.results import DenseCorrespondence
from fastcv.results.dense_correspondence import window_of

CHARTS = 24  # of a person in DensePose-COCO
PERSON = ("background", "person")

# How detectron2 calls the parts, and what they are called here, where the detector's keys are
# torchvision's.
RENAMED = (
    (r"backbone\.bottom_up\.stem\.conv1\.norm", "backbone.body.bn1"),
    (r"backbone\.bottom_up\.stem\.conv1", "backbone.body.conv1"),
    *(
        (rf"backbone\.bottom_up\.res{i + 1}\.(\d+)\.{theirs}", rf"backbone.body.layer{i}.\1.{ours}")
        for i in (1, 2, 3, 4)
        for theirs, ours in (
            (r"shortcut\.norm", "downsample.1"),
            (r"shortcut", "downsample.0"),
            *((rf"conv{n}\.norm", f"bn{n}") for n in (1, 2, 3)),
            *((rf"conv{n}", f"conv{n}") for n in (1, 2, 3)),
        )
    ),
    *(
        (rf"backbone\.fpn_{theirs}{i + 2}", f"backbone.fpn.{ours}_blocks.{i}.0")
        for i in (0, 1, 2, 3)
        for theirs, ours in (("lateral", "inner"), ("output", "layer"))
    ),
    (r"proposal_generator\.rpn_head\.conv", "rpn.head.conv.0.0"),
    (r"proposal_generator\.rpn_head\.objectness_logits", "rpn.head.cls_logits"),
    (r"proposal_generator\.rpn_head\.anchor_deltas", "rpn.head.bbox_pred"),
    (r"roi_heads\.box_head\.fc1", "roi_heads.box_head.fc6"),
    (r"roi_heads\.box_head\.fc2", "roi_heads.box_head.fc7"),
    (r"roi_heads\.decoder\.(\w+(?:\.\d)?)", r"roi_heads.densepose_roi_pool.decoder.\1"),
)


class ObjectsPredictor(nn.Module):
    """As ``FastRCNNPredictor``, with detectron2's parameters: the background has no box.

    Args:
        in_channels: numbers of a box.
        num_classes: with the background, which is class 0, but has the last row of ``cls_score``.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, (num_classes - 1) * 4)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[K, in_channels]`` to ``[K, num_classes]`` and ``[K, num_classes * 4]``."""
        logits, deltas = self.cls_score(x), self.bbox_pred(x)
        none = deltas.new_zeros(deltas.shape[0], 4)
        background_first = torch.cat([logits[:, -1:], logits[:, :-1]], dim=1)
        return background_first, torch.cat([none, deltas], dim=1)


class DensePoseRCNN(FasterRCNN, DensePoseDetector):
    """Faster R-CNN with a branch for points of a surface.

    Arguments as of ``FasterRCNN``; ``add_surface`` gives it the branch.

    Source: Guler et al., "DensePose: Dense Human Pose Estimation In The Wild" (2018), section 4.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "densepose_rcnn_resnet18_fpn", charts=2, width=8, fpn_channels=16,
        ...     head_channels=32, surface_channels=16, min_size=64, max_size=96,
        ... )
        >>> target = {
        ...     "boxes": torch.tensor([[10.0, 10, 50, 40]]), "labels": torch.tensor([1]),
        ...     "masks": torch.ones(1, 60, 80, dtype=torch.bool),
        ...     "dense_keypoints": torch.tensor([[[20.0, 20, 1], [30.0, 35, 2]]]),  # x, y, chart
        ...     "dense_uv": torch.tensor([[[0.5, 0.2], [0.1, 0.9]]]),
        ... }
        >>> losses = model.loss(model([torch.rand(3, 60, 80)]), [target])
        >>> [name for name in losses if "densepose" in name]
        ['loss_densepose_U', 'loss_densepose_V', 'loss_densepose_I', 'loss_densepose_S']
        >>> (found,) = model.predict(torch.rand(3, 60, 80), score_threshold=0.0)
        >>> found.iuv().shape
        torch.Size([3, 60, 80])
    """

    def add_surface(
        self,
        *,
        charts: int,
        num_classes: int,
        fpn_channels: int,
        head_channels: int,
        surface_channels: int,
        surface_layers: int,
    ) -> None:
        """The branch, and a predictor of boxes as detectron2 has it.

        Args:
            charts: of the surface.
            num_classes: with the background.
            fpn_channels: channels of the pyramid and of what the decoder makes of it.
            head_channels: numbers that describe a proposal.
            surface_channels: of the convolutions in the branch's head.
            surface_layers: how many these are.

        Raises:
            ValueError: no charts.
        """
        if charts < 1:
            raise ValueError(f"charts must be at least 1, got {charts}")
        self.charts = charts
        self.roi_heads.box_predictor = ObjectsPredictor(head_channels, num_classes)
        self.roi_heads.add_branch(
            DensePoseBranch(charts),
            roi_pool=DecodedRoIAlign(PyramidDecoder(fpn_channels, fpn_channels)),
            head=DensePoseHead(fpn_channels, [surface_channels] * surface_layers),
            predictor=DensePosePredictor(surface_channels, charts),
        )
        if len(self.classes) == len(PERSON):
            self.classes = PERSON

    def rename_key(self, key: str) -> str:
        """detectron2's keys to torchvision's, which the detector has."""
        for pattern, ours in RENAMED:
            name, number = re.subn(rf"^{pattern}(?=\.\w+$)", ours, key)
            if number:
                return name
        return key

    def postprocess(self, output: TwoStageOutput, **options: Any) -> list[DenseCorrespondence]:
        """What was found, with I, U and V for each pixel of each box.

        Args:
            output: of ``forward`` in eval mode.
            options: as of ``detect``.
        """
        results = []
        for found in super().postprocess(output, **options):
            fields = dict(found.fields)
            surfaces = tuple(
                surface_on_pixels(maps, box, window_of(box.tolist(), found.image_size))
                for maps, box in zip(fields.pop("surface"), found.boxes, strict=True)
            )
            known = {**vars(found), "fields": fields}
            results.append(DenseCorrespondence(**known, surfaces=surfaces, charts=self.charts))
        return results


@register("densepose_rcnn_resnet50_fpn", task="densepose")
def densepose_rcnn_resnet50_fpn(
    *,
    num_classes: int = 2,
    charts: int = CHARTS,
    frozen_norm: bool = False,
    norm_eps: float = 1e-5,
    trainable_layers: int = 5,
    min_size: int = 800,
    max_size: int = 1333,
) -> DensePoseRCNN:
    """DensePose R-CNN on ResNet-50 with a feature pyramid, of detectron2's R_50_FPN_s1x's sizes.

    Args:
        num_classes: with the background.
        charts: that the surface is cut into; 24 are those of a person in DensePose-COCO.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        norm_eps: what frozen norms add to the variance.
        trainable_layers: of the backbone, from the last stage backwards; 5 is all.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: Guler et al., "DensePose: Dense Human Pose Estimation In The Wild" (2018), section 4.
    """
    model = with_fpn(
        DensePoseRCNN,
        50,
        num_classes=num_classes,
        frozen_norm=frozen_norm,
        norm_eps=norm_eps,
        trainable_layers=trainable_layers,
        min_size=min_size,
        max_size=max_size,
    )
    model.add_surface(
        charts=charts,
        num_classes=num_classes,
        fpn_channels=256,
        head_channels=1024,
        surface_channels=512,
        surface_layers=8,
    )
    return model


@register("densepose_rcnn_resnet18_fpn", task="densepose")
def densepose_rcnn_resnet18_fpn(
    *,
    num_classes: int = 2,
    charts: int = CHARTS,
    width: int = 64,
    fpn_channels: int = 256,
    head_channels: int = 1024,
    surface_channels: int = 512,
    surface_layers: int = 8,
    rois_per_image: int = 512,
    anchor_sizes: Sequence[Sequence[float]] = FPN_ANCHORS,
    min_size: int = 800,
    max_size: int = 1333,
) -> DensePoseRCNN:
    """A smaller DensePose R-CNN, on ResNet-18 of any width with a feature pyramid.

    Args:
        num_classes: with the background.
        charts: that the surface is cut into; 24 are those of a person in DensePose-COCO.
        width: channels of the backbone's first stage.
        fpn_channels: channels of the pyramid.
        head_channels: numbers that describe a proposal.
        surface_channels: of the convolutions in the surface branch's head.
        surface_layers: how many these are.
        rois_per_image: proposals of an image in the loss.
        anchor_sizes: sides of the anchors for each of the five levels, in pixels after resizing.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
    """
    model = with_fpn(
        DensePoseRCNN,
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
    model.add_surface(
        charts=charts,
        num_classes=num_classes,
        fpn_channels=fpn_channels,
        head_channels=head_channels,
        surface_channels=surface_channels,
        surface_layers=surface_layers,
    )
    return model
