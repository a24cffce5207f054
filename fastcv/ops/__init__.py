"""The ops: `import fastcv.ops as ops` in place of `torchvision.ops`, and what that lacks.

One file per op family, each function a docstring and one call of ``torch.ops.fastcv.<op>``.
"""

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
from fastcv.ops.deform_conv import deform_conv2d  # noqa: E402
from fastcv.ops.dense_crf import dense_crf, unary_from_labels  # noqa: E402
from fastcv.ops.focal_loss import sigmoid_focal_loss, softmax_focal_loss  # noqa: E402
from fastcv.ops.gram import gram_matrix  # noqa: E402
from fastcv.ops.hog import hog  # noqa: E402
from fastcv.ops.identity import identity  # noqa: E402
from fastcv.ops.multiscale_roi_align import MultiScaleRoIAlign  # noqa: E402
from fastcv.ops.nms import batched_nms, batched_soft_nms, nms, soft_nms  # noqa: E402
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
from fastcv.ops.transposed_conv import conv_transpose2d  # noqa: E402

__all__ = [
    "MultiScaleRoIAlign",
    "PSRoIAlign",
    "PSRoIPool",
    "RegionTree",
    "RoIAlign",
    "RoIPool",
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
    "deform_conv2d",
    "dense_crf",
    "distance_box_iou",
    "distance_box_iou_loss",
    "felzenszwalb",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "gram_matrix",
    "group_regions",
    "hog",
    "identity",
    "masks_to_boxes",
    "nms",
    "nms_rotated",
    "ps_roi_align",
    "ps_roi_pool",
    "remove_small_boxes",
    "roi_align",
    "roi_align_rotated",
    "roi_pool",
    "selective_search",
    "sigmoid_focal_loss",
    "soft_nms",
    "softmax_focal_loss",
    "unary_from_labels",
]
