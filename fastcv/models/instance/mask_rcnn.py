"""Mask R-CNN: Faster R-CNN with a branch that says which pixels of a box are the object's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from fastcv.classes import class_names
from fastcv.models._registry import register
from fastcv.models._weights import Weights
from fastcv.models.detection._two_stage import TwoStageOutput
from fastcv.models.detection.faster_rcnn import FPN_ANCHORS, FasterRCNN, with_fpn
from fastcv.models.instance._instance_segmenter import InstanceSegmenter
from fastcv.nn.detection.mask_branch import MaskBranch, MaskHead, MaskPredictor
from fastcv.nn.detection.multiscale_roi_pool import MultiScaleRoIPool
from fastcv.ops import MultiScaleRoIAlign, paste_masks
from fastcv.results import Instances

MASK_SIZE = 14  # of the pooled features; the masks are twice as high and wide


class MaskRCNN(FasterRCNN, InstanceSegmenter):
    """Faster R-CNN with a mask branch.

    Arguments as of ``FasterRCNN``; ``add_masks`` gives it the branch.

    Source: He et al., "Mask R-CNN" (2017), section 3.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "maskrcnn_resnet18_fpn", num_classes=3, width=8, fpn_channels=16,
        ...     head_channels=32, mask_channels=16, min_size=64, max_size=96,
        ... )
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> masks = torch.zeros(1, 60, 80, dtype=torch.bool)
        >>> masks[0, 10:40, 10:30] = True
        >>> targets = [{"boxes": boxes, "labels": labels, "masks": masks}]
        >>> losses = model.loss(model([torch.rand(3, 60, 80)]), targets)
        >>> sorted(losses)[2]
        'loss_mask'
        >>> (found,) = model.predict(torch.rand(3, 60, 80), score_threshold=0.0)
        >>> found.masks.shape[1:]
        torch.Size([60, 80])
    """

    def add_masks(
        self,
        *,
        num_classes: int,
        fpn_channels: int,
        mask_channels: int,
        roi_pool: bool,
    ) -> None:
        """The mask branch.

        Args:
            num_classes: with the background.
            fpn_channels: channels of the pyramid.
            mask_channels: of the branch's convolutions.
            roi_pool: pool features with RoIPool, as before the paper, in place of RoIAlign.
        """
        levels = ["0", "1", "2", "3"]
        pool: nn.Module = MultiScaleRoIAlign(levels, output_size=MASK_SIZE, sampling_ratio=2)
        if roi_pool:
            pool = MultiScaleRoIPool(levels, output_size=MASK_SIZE)
        self.roi_heads.add_branch(
            MaskBranch(),
            roi_pool=pool,
            head=MaskHead(fpn_channels, [mask_channels] * 4),
            predictor=MaskPredictor(mask_channels, mask_channels, num_classes),
        )

    def postprocess(
        self, output: TwoStageOutput, *, mask_threshold: float = 0.5, **options: Any
    ) -> list[Instances]:
        """What was found, with a mask of the picture's size for each box.

        Args:
            output: of ``forward`` in eval mode.
            mask_threshold: a mask's pixels are more probable than this.
            options: as of ``detect``.
        """
        results = []
        for found in super().postprocess(output, **options):
            fields = dict(found.fields)
            small = fields.pop("masks")
            masks = paste_masks(small, found.boxes, found.image_size, mask_threshold)
            results.append(Instances(**{**vars(found), "fields": fields}, masks=masks))
        return results

    def rename_key(self, key: str) -> str:
        """The published file has ``mask_head.mask_fcn1.weight`` for ``mask_head.0.0.weight``."""
        found = re.fullmatch(r"(roi_heads\.mask_head\.)mask_fcn(\d+)(\.\w+)", key)
        if found is None:
            return key
        head, number, kind = found.groups()
        return f"{head}{int(number) - 1}.0{kind}"


@register(
    "maskrcnn_resnet50_fpn",
    task="instance",
    weights=[
        Weights(
            name="COCO_V1",
            url="https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
            sha256="bf2d0c1e",
            classes=class_names("coco"),
            licence="BSD-3-Clause",
            source="torchvision, references/detection; trained on COCO train2017",
            metric={"box mAP": 37.9, "mask mAP": 34.6},
            # As they were trained: a few images a step would spoil the statistics.
            config={"frozen_norm": True, "norm_eps": 0.0, "trainable_layers": 3},
        )
    ],
)
def maskrcnn_resnet50_fpn(
    *,
    num_classes: int = 91,
    frozen_norm: bool = False,
    norm_eps: float = 1e-5,
    trainable_layers: int = 5,
    min_size: int = 800,
    max_size: int = 1333,
    roi_pool: bool = False,
) -> MaskRCNN:
    """Mask R-CNN on ResNet-50 with a feature pyramid; torchvision's checkpoints load.

    Args:
        num_classes: with the background.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        norm_eps: what frozen norms add to the variance; the published weights know none.
        trainable_layers: of the backbone, from the last stage backwards; 5 is all.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
        roi_pool: the mask branch pools with RoIPool, to see what RoIAlign is worth.

    Source: He et al., "Mask R-CNN" (2017), figure 4, on the right.
    """
    model = with_fpn(
        MaskRCNN,
        50,
        num_classes=num_classes,
        frozen_norm=frozen_norm,
        norm_eps=norm_eps,
        trainable_layers=trainable_layers,
        min_size=min_size,
        max_size=max_size,
    )
    model.add_masks(num_classes=num_classes, fpn_channels=256, mask_channels=256, roi_pool=roi_pool)
    return model


@register("maskrcnn_resnet18_fpn", task="instance")
def maskrcnn_resnet18_fpn(
    *,
    num_classes: int = 91,
    width: int = 64,
    fpn_channels: int = 256,
    head_channels: int = 1024,
    mask_channels: int = 256,
    rois_per_image: int = 512,
    anchor_sizes: Sequence[Sequence[float]] = FPN_ANCHORS,
    min_size: int = 800,
    max_size: int = 1333,
    roi_pool: bool = False,
) -> MaskRCNN:
    """A smaller Mask R-CNN, on ResNet-18 of any width with a feature pyramid.

    Args:
        num_classes: with the background.
        width: channels of the backbone's first stage.
        fpn_channels: channels of the pyramid.
        head_channels: numbers that describe a proposal.
        mask_channels: of the mask branch's convolutions.
        rois_per_image: proposals of an image in the loss.
        anchor_sizes: sides of the anchors for each of the five levels, in pixels after resizing.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
        roi_pool: the mask branch pools with RoIPool, to see what RoIAlign is worth.
    """
    model = with_fpn(
        MaskRCNN,
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
    model.add_masks(
        num_classes=num_classes,
        fpn_channels=fpn_channels,
        mask_channels=mask_channels,
        roi_pool=roi_pool,
    )
    return model
