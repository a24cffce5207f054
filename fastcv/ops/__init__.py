"""The ops: `import fastcv.ops as ops` in place of `torchvision.ops`, and what that lacks.

One file per op family, each function a docstring and one call of ``torch.ops.fastcv.<op>``.
"""

from fastcv import _extension

_extension.load()  # registers torch.ops.fastcv.*, which the modules below refer to

from fastcv.ops.identity import identity  # noqa: E402
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

__all__ = [
    "PSRoIAlign",
    "PSRoIPool",
    "RoIAlign",
    "RoIPool",
    "batched_nms",
    "batched_nms_rotated",
    "batched_soft_nms",
    "box_iou_rotated",
    "identity",
    "nms",
    "nms_rotated",
    "ps_roi_align",
    "ps_roi_pool",
    "roi_align",
    "roi_align_rotated",
    "roi_pool",
    "soft_nms",
]
