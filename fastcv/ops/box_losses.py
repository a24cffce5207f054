"""Losses of box regression: one less an IoU of matched pairs. Plain PyTorch, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.ops.boxes import _aspect_penalty, _distance, _hull, _widened, box_area


def generalized_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - GIoU of matched pairs.

    Args:
        boxes1: ``[..., 4]`` as ``(x1, y1, x2, y2)`` with ``x2 >= x1`` and ``y2 >= y1``.
        boxes2: the same shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        eps: added to the denominators.

    Returns:
        ``[...]`` in [0, 2], or a scalar (0 for the mean of nothing).

    Raises:
        ValueError: an unknown ``reduction``, or shapes that differ or do not end in 4.

    Source: Rezatofighi et al., "Generalized Intersection over Union" (2019).

    Example:
        >>> import torch, fastcv
        >>> a, b = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 0.0, 4.0, 1.0]])
        >>> fastcv.ops.generalized_box_iou_loss(a, b)
        tensor([1.5000])
    """
    boxes1, boxes2 = _checked("generalized_box_iou_loss", boxes1, boxes2)
    inter, union = _matched_inter_union(boxes1, boxes2)
    width, height = _hull(boxes1, boxes2)
    hull = width * height
    # Without a hull nothing of it is uncovered; the slope there would be one over eps.
    uncovered = ((hull - union) / (hull + eps)).masked_fill(hull == 0, 0.0)
    giou = inter / (union + eps) - uncovered
    return _reduced("generalized_box_iou_loss", 1 - giou, reduction)


def distance_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - DIoU of matched pairs.

    Args:
        boxes1: ``[..., 4]`` as ``(x1, y1, x2, y2)`` with ``x2 >= x1`` and ``y2 >= y1``.
        boxes2: the same shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        eps: added to the denominators.

    Returns:
        ``[...]`` in [0, 2], or a scalar (0 for the mean of nothing).

    Raises:
        ValueError: an unknown ``reduction``, or shapes that differ or do not end in 4.

    Source: Zheng et al., "Distance-IoU Loss" (2020), equation 7.

    Example:
        >>> import torch, fastcv
        >>> a, b = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 0.0, 4.0, 1.0]])
        >>> fastcv.ops.distance_box_iou_loss(a, b)
        tensor([1.5294])
    """
    boxes1, boxes2 = _checked("distance_box_iou_loss", boxes1, boxes2)
    inter, union = _matched_inter_union(boxes1, boxes2)
    loss = 1 - inter / (union + eps) + _distance(boxes1, boxes2, eps)
    return _reduced("distance_box_iou_loss", loss, reduction)


def complete_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """1 - CIoU of matched pairs.

    Args:
        boxes1: ``[..., 4]`` as ``(x1, y1, x2, y2)`` with ``x2 >= x1`` and ``y2 >= y1``.
        boxes2: the same shape.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``.
        eps: added to the denominators.

    Returns:
        ``[...]``, or a scalar (0 for the mean of nothing).

    Raises:
        ValueError: an unknown ``reduction``, or shapes that differ or do not end in 4.

    Source: Zheng et al., "Distance-IoU Loss" (2020), equations 8 to 11.

    Example:
        >>> import torch, fastcv
        >>> a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
        >>> fastcv.ops.complete_box_iou_loss(a, a, reduction="mean")
        tensor(0.)
    """
    boxes1, boxes2 = _checked("complete_box_iou_loss", boxes1, boxes2)
    inter, union = _matched_inter_union(boxes1, boxes2)
    iou = inter / (union + eps)
    penalty = _aspect_penalty(boxes1, boxes2, iou, eps)
    loss = 1 - iou + _distance(boxes1, boxes2, eps) + penalty
    return _reduced("complete_box_iou_loss", loss, reduction)


def _checked(op: str, boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    if boxes1.dim() == 0 or boxes1.shape[-1] != 4 or boxes1.shape != boxes2.shape:
        raise ValueError(
            f"{op}: boxes1 and boxes2 must have the same shape [..., 4], got "
            f"{list(boxes1.shape)} and {list(boxes2.shape)}"
        )
    return _floating(boxes1), _floating(boxes2)


def _floating(boxes: Tensor) -> Tensor:
    return _widened(boxes) if boxes.is_floating_point() else boxes.float()


def _matched_inter_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    low = torch.maximum(boxes1[..., :2], boxes2[..., :2])
    high = torch.minimum(boxes1[..., 2:], boxes2[..., 2:])
    # relu, for what clamp's gradient is at 0, where boxes touch, depends on torch's version.
    width, height = (high - low).relu().unbind(-1)
    inter = width * height
    return inter, box_area(boxes1) + box_area(boxes2) - inter


def _reduced(op: str, loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.mean() if loss.numel() > 0 else loss.sum()
    raise ValueError(f"{op}: reduction must be 'none', 'mean' or 'sum', got '{reduction}'")
