"""The ops: `import fastcv.ops as ops` in place of `torchvision.ops`, and what that lacks.

One file per op family, each function a docstring and one call of ``torch.ops.fastcv.<op>``.
"""

from fastcv import _extension

_extension.load()  # registers torch.ops.fastcv.*, which the modules below refer to

from fastcv.ops.identity import identity  # noqa: E402
from fastcv.ops.nms import batched_nms, batched_soft_nms, nms, soft_nms  # noqa: E402
from fastcv.ops.roi import roi_align  # noqa: E402
from fastcv.ops.rotated import batched_nms_rotated, box_iou_rotated, nms_rotated  # noqa: E402

__all__ = [
    "batched_nms",
    "batched_nms_rotated",
    "batched_soft_nms",
    "box_iou_rotated",
    "identity",
    "nms",
    "nms_rotated",
    "roi_align",
    "soft_nms",
]
