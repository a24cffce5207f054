"""The ops: `import fastcv.ops as ops` in place of `torchvision.ops`, and what that lacks.

One file per op family, each function a docstring and one call of ``torch.ops.fastcv.<op>``.
torchvision keeps some layers here, too: they lie in ``fastcv.nn`` and are loaded on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fastcv import _extension

_extension.load()  # registers torch.ops.fastcv.*, which the modules below refer to

from fastcv.ops.box_losses import (  # noqa: E402
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)
from fastcv.ops.boxes import (  # noqa: E402
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    masks_to_boxes,
    remove_small_boxes,
)
from fastcv.ops.corner_pool import corner_pool  # noqa: E402
from fastcv.ops.correlation import correlation  # noqa: E402
from fastcv.ops.cosine_topk import cosine_topk  # noqa: E402
from fastcv.ops.deform_conv import deform_conv2d  # noqa: E402
from fastcv.ops.dense_crf import dense_crf, unary_from_labels  # noqa: E402
from fastcv.ops.fast_nms import fast_nms  # noqa: E402
from fastcv.ops.flow_warp import flow_warp  # noqa: E402
from fastcv.ops.focal_loss import sigmoid_focal_loss, softmax_focal_loss  # noqa: E402
from fastcv.ops.gram import gram_matrix  # noqa: E402
from fastcv.ops.heatmaps import decode_heatmaps, encode_heatmaps  # noqa: E402
from fastcv.ops.hog import hog  # noqa: E402
from fastcv.ops.identity import identity  # noqa: E402
from fastcv.ops.mel_spectrogram import mel_spectrogram  # noqa: E402
from fastcv.ops.multiscale_roi_align import MultiScaleRoIAlign  # noqa: E402
from fastcv.ops.nms import batched_nms, batched_soft_nms, nms, soft_nms  # noqa: E402
from fastcv.ops.panoptic_counts import panoptic_counts  # noqa: E402
from fastcv.ops.paste_masks import paste_masks  # noqa: E402
from fastcv.ops.proto_masks import proto_masks  # noqa: E402
from fastcv.ops.ps_roi import PSRoIAlign, PSRoIPool, ps_roi_align, ps_roi_pool  # noqa: E402
from fastcv.ops.roi import (  # noqa: E402
    RoIAlign,
    RoIPool,
    roi_align,
    roi_align_rotated,
    roi_pool,
)
from fastcv.ops.rotated import batched_nms_rotated, box_iou_rotated, nms_rotated  # noqa: E402
from fastcv.ops.selective_search import (  # noqa: E402
    RegionTree,
    felzenszwalb,
    group_regions,
    selective_search,
)
from fastcv.ops.separable_conv import atrous_separable_conv2d  # noqa: E402
from fastcv.ops.sgns_step import sgns_step  # noqa: E402
from fastcv.ops.transposed_conv import conv_transpose2d  # noqa: E402
from fastcv.ops.vq_codes import vq_codes  # noqa: E402

if TYPE_CHECKING:
    from fastcv.nn.backbones.fpn import FeaturePyramidNetwork
    from fastcv.nn.layers.conv_norm_activation import Conv2dNormActivation, Conv3dNormActivation
    from fastcv.nn.layers.deform_conv import DeformConv2d
    from fastcv.nn.layers.drop_block import (
        DropBlock2d,
        DropBlock3d,
        drop_block2d,
        drop_block3d,
    )
    from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
    from fastcv.nn.layers.mlp import MLP
    from fastcv.nn.layers.permute import Permute
    from fastcv.nn.layers.squeeze_excitation import SqueezeExcitation
    from fastcv.nn.layers.stochastic_depth import StochasticDepth, stochastic_depth

__all__ = [
    "MLP",
    "Conv2dNormActivation",
    "Conv3dNormActivation",
    "DeformConv2d",
    "DropBlock2d",
    "DropBlock3d",
    "FeaturePyramidNetwork",
    "FrozenBatchNorm2d",
    "MultiScaleRoIAlign",
    "PSRoIAlign",
    "PSRoIPool",
    "Permute",
    "RegionTree",
    "RoIAlign",
    "RoIPool",
    "SqueezeExcitation",
    "StochasticDepth",
    "atrous_separable_conv2d",
    "batched_nms",
    "batched_nms_rotated",
    "batched_soft_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "box_iou_rotated",
    "clip_boxes_to_image",
    "complete_box_iou",
    "complete_box_iou_loss",
    "conv_transpose2d",
    "corner_pool",
    "correlation",
    "cosine_topk",
    "decode_heatmaps",
    "deform_conv2d",
    "dense_crf",
    "distance_box_iou",
    "distance_box_iou_loss",
    "drop_block2d",
    "drop_block3d",
    "encode_heatmaps",
    "fast_nms",
    "felzenszwalb",
    "flow_warp",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "gram_matrix",
    "group_regions",
    "hog",
    "identity",
    "masks_to_boxes",
    "mel_spectrogram",
    "nms",
    "nms_rotated",
    "panoptic_counts",
    "paste_masks",
    "proto_masks",
    "ps_roi_align",
    "ps_roi_pool",
    "remove_small_boxes",
    "roi_align",
    "roi_align_rotated",
    "roi_pool",
    "selective_search",
    "sgns_step",
    "sigmoid_focal_loss",
    "soft_nms",
    "softmax_focal_loss",
    "stochastic_depth",
    "unary_from_labels",
    "vq_codes",
]

# Not imported above: fastcv.nn imports the ops.
_HOME_OF = {
    "Conv2dNormActivation": "fastcv.nn.layers.conv_norm_activation",
    "Conv3dNormActivation": "fastcv.nn.layers.conv_norm_activation",
    "DeformConv2d": "fastcv.nn.layers.deform_conv",
    "DropBlock2d": "fastcv.nn.layers.drop_block",
    "DropBlock3d": "fastcv.nn.layers.drop_block",
    "FeaturePyramidNetwork": "fastcv.nn.backbones.fpn",
    "FrozenBatchNorm2d": "fastcv.nn.layers.frozen_batch_norm",
    "MLP": "fastcv.nn.layers.mlp",
    "Permute": "fastcv.nn.layers.permute",
    "SqueezeExcitation": "fastcv.nn.layers.squeeze_excitation",
    "StochasticDepth": "fastcv.nn.layers.stochastic_depth",
    "drop_block2d": "fastcv.nn.layers.drop_block",
    "drop_block3d": "fastcv.nn.layers.drop_block",
    "stochastic_depth": "fastcv.nn.layers.stochastic_depth",
}

# torchvision's modules, whose names come before a dot: `ops.misc.FrozenBatchNorm2d`.
_MODULES = {
    "feature_pyramid_network": "fastcv.nn.backbones.fpn",
    "misc": "fastcv.nn",
    "poolers": "fastcv.ops.multiscale_roi_align",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    else:
        raise AttributeError(f"module 'fastcv.ops' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
