"""What a UPSNet on a ResNet with a feature pyramid is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from fastcv.classes import class_names
from fastcv.nn.backbones.fpn import LastLevelMaxPool
from fastcv.nn.backbones.global_context import add_global_context
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.resnet_fpn import ResNetFPN
from fastcv.nn.detection.anchors import AnchorGenerator
from fastcv.nn.detection.mask_branch import MaskBranch, MaskHead, MaskPredictor
from fastcv.nn.detection.roi_heads import FastRCNNPredictor, RoIHeads, TwoMLPHead
from fastcv.nn.detection.rpn import RegionProposalNetwork, RPNHead
from fastcv.nn.panoptic.semantic_head import SemanticHead
from fastcv.ops import MultiScaleRoIAlign

LEVELS = ["0", "1", "2", "3"]  # of the pyramid, that the heads read
MASK_SIZE = 14  # of the pooled features; the masks are twice as high and wide
ANCHORS = ((32,), (64,), (128,), (256,), (512,))
COCO_STUFF = 53  # of COCO's 133 classes


def upsnet_parts(
    trunk: ResNetTrunk,
    *,
    num_classes: int,
    num_stuff: int,
    trainable_layers: int = 5,
    gap: bool = False,
    fpn_channels: int = 256,
    head_channels: int = 1024,
    mask_channels: int = 256,
    semantic_channels: int = 128,
    semantic_layers: int = 3,
    rois_per_image: int = 512,
    anchor_sizes: Sequence[Sequence[float]] = ANCHORS,
    semantic_norm: Callable[[int], nn.Module] | None = None,
) -> dict[str, Any]:
    """The arguments of ``UPSNet`` on a ResNet of any depth and width with a feature pyramid.

    Args:
        trunk: the ResNet.
        num_classes, num_stuff, trainable_layers, gap, fpn_channels, head_channels, mask_channels,
            semantic_channels, semantic_layers, rois_per_image, anchor_sizes: as the registered
            builders have them.
        semantic_norm: the semantic head's ``norm_layer``.

    Raises:
        ValueError: no stuff, or no things.
    """
    if not 1 <= num_stuff < num_classes:
        raise ValueError(
            f"num_stuff must be 1 to {num_classes - 1}, for the others of {num_classes} classes "
            f"are things, got {num_stuff}"
        )
    things = num_classes - num_stuff
    backbone = ResNetFPN(trunk, fpn_channels, LastLevelMaxPool(), trainable_layers)
    if gap:
        add_global_context(backbone.fpn, trunk.out_channels[-1], fpn_channels)
    anchors = AnchorGenerator(anchor_sizes)
    roi_heads = RoIHeads(
        MultiScaleRoIAlign(LEVELS, output_size=7, sampling_ratio=2),
        TwoMLPHead(fpn_channels * 7 * 7, head_channels),
        FastRCNNPredictor(head_channels, 1 + things),
        batch_size_per_image=rois_per_image,
        smooth_l1_beta=1.0,
    )
    roi_heads.add_branch(
        MaskBranch(),
        roi_pool=MultiScaleRoIAlign(LEVELS, output_size=MASK_SIZE, sampling_ratio=2),
        head=MaskHead(fpn_channels, [mask_channels] * 4),
        predictor=MaskPredictor(mask_channels, mask_channels, 1 + things),
    )
    return {
        "backbone": backbone,
        "roi_heads": roi_heads,
        "rpn": RegionProposalNetwork(anchors, RPNHead(fpn_channels, anchors.anchors_per_cell())),
        "semantic_head": SemanticHead(
            fpn_channels,
            num_classes,
            channels=semantic_channels,
            layers=semantic_layers,
            norm_layer=semantic_norm,
        ),
        "classes": panoptic_classes(num_classes, num_stuff),
        "num_stuff": num_stuff,
    }


def panoptic_classes(num_classes: int, num_stuff: int) -> tuple[str, ...]:
    """COCO's names, stuff first, where there are as many; else numbers."""
    names = class_names("coco_panoptic")
    if (num_classes, num_stuff) == (len(names), COCO_STUFF):
        return names
    return tuple(f"class {label}" for label in range(num_classes))
