"""Rotated boxes: overlap and non-maximum suppression.

A rotated box is ``(cx, cy, w, h, angle)``: the upright ``w x h`` box about ``(cx, cy)``, turned by
``angle`` degrees counter-clockwise as seen on the screen, where y points down. Its local point
``(u, v)`` lies at ``(cx + u cos + v sin, cy - u sin + v cos)``.
"""

import torch
import torch.fx
from torch import Tensor

from fastcv.ops._nms import (
    as_group_ids,
    check_class_indices,
    check_scored_boxes,
    run_in_float32_under_autocast,
    some_indices,
)

torch.fx.wrap("as_group_ids")


def box_iou_rotated(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union of every pair of rotated boxes.

    Args:
        boxes1: ``[N, 5]`` as ``(cx, cy, w, h, angle)``, the angle in degrees, positive for a box
            turned counter-clockwise as seen on the screen (y points down); float64, float32,
            float16 or bfloat16.
        boxes2: ``[M, 5]``, the dtype of ``boxes1``.

    Returns:
        ``[N, M]``, the boxes' dtype, computed in float32 (float64 for float64). Equal boxes have an
        IoU of exactly 1, separate ones exactly 0. Boxes without area, or with anything NaN or
        infinite, have 0 with everything. No gradient.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit.

    Example:
        >>> import torch, fastcv
        >>> square = torch.tensor([[5.0, 5.0, 2.0, 2.0, 0.0]])
        >>> turned = torch.tensor([[5.0, 5.0, 2.0, 2.0, 45.0], [5.0, 6.0, 2.0, 2.0, 90.0]])
        >>> fastcv.ops.box_iou_rotated(square, turned)
        tensor([[0.7071, 0.3333]])
    """
    return torch.ops.fastcv.box_iou_rotated(boxes1, boxes2)


@torch.library.register_fake("fastcv::box_iou_rotated")
def _(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    torch._check(
        boxes1.dim() == 2 and boxes1.shape[1] == 5,
        lambda: f"box_iou_rotated: boxes1 must have shape [N, 5], got {list(boxes1.shape)}",
    )
    torch._check(
        boxes2.dim() == 2 and boxes2.shape[1] == 5,
        lambda: f"box_iou_rotated: boxes2 must have shape [M, 5], got {list(boxes2.shape)}",
    )
    return boxes1.new_empty(boxes1.shape[0], boxes2.shape[0])


def nms_rotated(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression of rotated boxes.

    Args:
        boxes: ``[N, 5]`` as ``(cx, cy, w, h, angle)``, the angle in degrees, positive for a box
            turned counter-clockwise as seen on the screen (y points down); float64, float32,
            float16 or bfloat16.
        scores: ``[N]``, the boxes' dtype. NaN counts as the highest score.
        iou_threshold: at least 0; a kept box suppresses those whose IoU with it is above this.

    Returns:
        ``[K]`` int64: indices of the kept boxes, by falling score; equal scores by index. Boxes
        without area, or with anything NaN or infinite, are always kept.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit; ``iou_threshold`` is negative or NaN.

    On CUDA the call waits for the device once, to learn how many boxes were kept.

    Source: Ma et al., "Arbitrary-Oriented Scene Text Detection via Rotation Proposals", 2018.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[5, 5, 8, 2, 0], [5, 5, 8, 2, 5], [5, 5, 8, 2, 90.0]])
        >>> fastcv.ops.nms_rotated(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
        tensor([0, 2])
    """
    return torch.ops.fastcv.nms_rotated(boxes, scores, iou_threshold)


@torch.library.register_fake("fastcv::nms_rotated")
def _(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    check_scored_boxes("nms_rotated", boxes, scores, 5)
    return some_indices(boxes)


def batched_nms_rotated(
    boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float
) -> Tensor:
    """Non-maximum suppression of rotated boxes within each class.

    Args:
        boxes: ``[N, 5]`` as ``(cx, cy, w, h, angle)``, as in ``nms_rotated``.
        scores: ``[N]``, the boxes' dtype.
        idxs: ``[N]``, the class (or image, or level) of each box: any numbers, integers or floats.
        iou_threshold: at least 0; a kept box suppresses those of its class whose IoU with it is
            above this.

    Returns:
        ``[K]`` int64: indices of the kept boxes, by falling score; equal scores by index.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit; ``iou_threshold`` is negative or NaN.

    Source: as ``nms_rotated``.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[5, 5, 8, 2, 0], [5, 5, 8, 2, 5], [5, 5, 8, 2, 5.0]])
        >>> scores, classes = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 0, 1])
        >>> fastcv.ops.batched_nms_rotated(boxes, scores, classes, iou_threshold=0.5)
        tensor([0, 2])
    """
    return torch.ops.fastcv.batched_nms_rotated(boxes, scores, as_group_ids(idxs), iou_threshold)


@torch.library.register_fake("fastcv::batched_nms_rotated")
def _(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    check_scored_boxes("batched_nms_rotated", boxes, scores, 5)
    check_class_indices("batched_nms_rotated", boxes, idxs)
    return some_indices(boxes)


run_in_float32_under_autocast("box_iou_rotated", "nms_rotated", "batched_nms_rotated")
