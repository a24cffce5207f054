"""Non-maximum suppression: plain, per class, and soft."""

import torch
from torch import Tensor

from fastcv.ops._fake import check_class_indices, check_scored_boxes, some_indices


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression: keep a box unless it overlaps a better one too much.

    The same indices in the same order as ``torchvision.ops.nms``, for any input.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``, float64, float32, float16 or bfloat16; IoU is
            computed in float32 (float64 for float64).
        scores: ``[N]``, the boxes' dtype. NaN counts as the highest score.
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
        >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 11.0, 11.0], [20.0, 20.0, 30.0, 30.0]])
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
        idxs: ``[N]``, an integer dtype: the class (or image, or level) of each box; any values.
        iou_threshold: a kept box suppresses those of its class whose IoU with it is above this.

    Returns:
        ``[K]`` int64: indices of the kept boxes, by falling score; equal scores by index.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or ``iou_threshold`` is NaN.

    Source: as ``nms``.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 11.0, 11.0], [1.0, 1.0, 10.0, 10.0]])
        >>> scores, classes = torch.tensor([0.8, 0.9, 0.7]), torch.tensor([3, -1, 3])
        >>> fastcv.ops.batched_nms(boxes, scores, classes, iou_threshold=0.5)
        tensor([1, 0])
    """
    return torch.ops.fastcv.batched_nms(boxes, scores, idxs, iou_threshold)


@torch.library.register_fake("fastcv::batched_nms")
def _(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    check_scored_boxes("batched_nms", boxes, scores, 4)
    check_class_indices("batched_nms", boxes, idxs)
    return some_indices(boxes)
