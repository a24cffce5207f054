"""Non-maximum suppression: plain, per class, and soft."""

import torch
import torch.fx
from torch import Tensor

from fastcv.ops._nms import (
    as_boxes,
    as_group_ids,
    check_class_indices,
    check_scored_boxes,
    run_in_float32_under_autocast,
    some_indices,
)

torch.fx.wrap("as_boxes")
torch.fx.wrap("as_group_ids")


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression: keep a box unless it overlaps a better one too much.

    The same indices in the same order as ``torchvision.ops.nms``, for any input.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``, float64, float32, float16 or bfloat16; IoU is
            computed in float32 (float64 for float64).
        scores: ``[N]``, the boxes' dtype, or under autocast any. NaN counts as the highest score.
        iou_threshold: a kept box suppresses those whose IoU with it is above this.

    Returns:
        ``[K]`` int64: indices of the kept boxes, by falling score; equal scores by index. Boxes
        that are empty, inverted or of infinite or NaN area are always kept (for thresholds >= 0).

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or ``iou_threshold`` is NaN.

    On CUDA the call waits for the device once, to learn how many boxes were kept.

    Source: Felzenszwalb et al., "Object Detection with Discriminatively Trained Part-Based
    Models", 2010, section 7.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30.0]])
        >>> fastcv.ops.nms(boxes, torch.tensor([0.8, 0.9, 0.7]), iou_threshold=0.5)
        tensor([1, 2])
    """
    return torch.ops.fastcv.nms(boxes, scores, iou_threshold)


@torch.library.register_fake("fastcv::nms")
def _(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    check_scored_boxes("nms", boxes, scores, 4)
    return some_indices(boxes)


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression within each class: boxes of different classes never meet.

    The result is that of ``nms`` on each class, merged by score. Coordinates are not shifted apart
    as they are elsewhere, so none of their precision is lost.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``, float64, float32, float16 or bfloat16.
        scores: ``[N]``, the boxes' dtype.
        idxs: ``[N]``, the class (or image, or level) of each box: any numbers, integers or floats.
        iou_threshold: a kept box suppresses those of its class whose IoU with it is above this.

    Returns:
        ``[K]`` int64: indices of the kept boxes, by falling score; equal scores by index.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or ``iou_threshold`` is NaN.

    Source: as ``nms``.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 11, 11], [1, 1, 10, 10.0]])
        >>> scores, classes = torch.tensor([0.8, 0.9, 0.7]), torch.tensor([3, -1, 3])
        >>> fastcv.ops.batched_nms(boxes, scores, classes, iou_threshold=0.5)
        tensor([1, 0])
    """
    return torch.ops.fastcv.batched_nms(as_boxes(boxes), scores, as_group_ids(idxs), iou_threshold)


@torch.library.register_fake("fastcv::batched_nms")
def _(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    check_scored_boxes("batched_nms", boxes, scores, 4)
    check_class_indices("batched_nms", boxes, idxs)
    return some_indices(boxes)


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    method: str = "linear",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    score_threshold: float = 1e-3,
) -> tuple[Tensor, Tensor]:
    """Soft non-maximum suppression: lower the scores of overlapping boxes instead of removing them.

    Again and again the box with the highest score is selected (of equals, the one with the lowest
    index) and the scores of all boxes left are multiplied by ``1 - iou`` where
    ``iou > iou_threshold`` (``"linear"``) or by ``exp(-iou**2 / sigma)`` (``"gaussian"``). Boxes
    whose score falls below ``score_threshold`` are dropped.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``, float64, float32, float16 or bfloat16.
        scores: ``[N]``, the boxes' dtype; boxes with a NaN score are dropped.
        method: ``"linear"`` or ``"gaussian"``.
        iou_threshold: for ``"linear"``: overlaps up to here change nothing.
        sigma: for ``"gaussian"``: above 0; the larger, the milder.
        score_threshold: at least 0.

    Returns:
        ``(keep, kept_scores)``: ``[K]`` int64 indices in order of selection, and the scores they
        were selected with, which never rise. Neither has a gradient.

    Raises:
        RuntimeError: shapes, dtypes, devices or numbers do not fit, or an unknown ``method``.

    On CUDA the call waits for the device once, to learn how many boxes were kept.

    Source: Bodla et al., "Soft-NMS: Improving Object Detection With One Line of Code", 2017.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30.0]])
        >>> fastcv.ops.soft_nms(boxes, torch.tensor([0.9, 0.8, 0.7]))
        (tensor([0, 2, 1]), tensor([0.9000, 0.7000, 0.4000]))
    """
    return torch.ops.fastcv.soft_nms(boxes, scores, method, iou_threshold, sigma, score_threshold)


@torch.library.register_fake("fastcv::soft_nms")
def _(
    boxes: Tensor,
    scores: Tensor,
    method: str,
    iou_threshold: float,
    sigma: float,
    score_threshold: float,
) -> tuple[Tensor, Tensor]:
    check_scored_boxes("soft_nms", boxes, scores, 4)
    keep = some_indices(boxes)
    return keep, scores.new_empty(keep.shape)


def batched_soft_nms(
    boxes: Tensor,
    scores: Tensor,
    idxs: Tensor,
    method: str = "linear",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    score_threshold: float = 1e-3,
) -> tuple[Tensor, Tensor]:
    """Soft non-maximum suppression within each class: other classes' boxes lower no scores.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``, float64, float32, float16 or bfloat16.
        scores: ``[N]``, the boxes' dtype; boxes with a NaN score are dropped.
        idxs: ``[N]``, the class (or image, or level) of each box: any numbers, integers or floats.
        method: ``"linear"`` or ``"gaussian"``, as in ``soft_nms``.
        iou_threshold: for ``"linear"``: overlaps up to here change nothing.
        sigma: for ``"gaussian"``: above 0; the larger, the milder.
        score_threshold: at least 0.

    Returns:
        ``(keep, kept_scores)``: ``[K]`` int64 indices by falling score (equal scores by index), and
        the scores they were selected with. Neither has a gradient.

    Raises:
        RuntimeError: shapes, dtypes, devices or numbers do not fit, or an unknown ``method``.

    Source: as ``soft_nms``.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 9.0]])
        >>> scores, classes = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 0, 1])
        >>> fastcv.ops.batched_soft_nms(boxes, scores, classes)
        (tensor([0, 2, 1]), tensor([0.9000, 0.7000, 0.4000]))
    """
    return torch.ops.fastcv.batched_soft_nms(
        boxes, scores, as_group_ids(idxs), method, iou_threshold, sigma, score_threshold
    )


@torch.library.register_fake("fastcv::batched_soft_nms")
def _(
    boxes: Tensor,
    scores: Tensor,
    idxs: Tensor,
    method: str,
    iou_threshold: float,
    sigma: float,
    score_threshold: float,
) -> tuple[Tensor, Tensor]:
    check_scored_boxes("batched_soft_nms", boxes, scores, 4)
    check_class_indices("batched_soft_nms", boxes, idxs)
    keep = some_indices(boxes)
    return keep, scores.new_empty(keep.shape)


run_in_float32_under_autocast("nms", "batched_nms", "soft_nms", "batched_soft_nms")
