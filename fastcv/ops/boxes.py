"""Arithmetic of boxes: areas, formats, overlaps, clipping. Plain PyTorch, on any device."""

from __future__ import annotations

import math

import torch
import torch.fx
from torch import Tensor

from fastcv.ops.rotated import box_iou_rotated


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """Areas of upright boxes.

    Args:
        boxes: ``[..., 4]``, any dtype.
        fmt: ``"xyxy"``, ``"xywh"`` or ``"cxcywh"``.

    Returns:
        ``[...]``; float16 and bfloat16 become float32, integers below 32 bits int32.

    Raises:
        ValueError: ``fmt`` is none of the three, or ``boxes`` has no last dimension of 4.

    Example:
        >>> import torch, fastcv
        >>> fastcv.ops.box_area(torch.tensor([[1, 1, 4, 3]]))
        tensor([6])
    """
    _check_format("box_area", fmt, rotated=False)
    _check_columns("box_area", "boxes", boxes, 4)
    boxes = _widened(boxes)
    if fmt == "xyxy":
        return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return boxes[..., 2] * boxes[..., 3]


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes in another format.

    Args:
        boxes: ``[..., 4]`` for ``"xyxy"`` (two corners), ``"xywh"`` (corner and size), ``"cxcywh"``
            (centre and size); ``[..., 5]`` for ``"cxcywhr"`` and ``"xywhr"`` (the top-left corner
            as it lies after the turn), the angle in degrees, counter-clockwise as seen on the
            screen; ``[..., 8]`` for ``"xyxyxyxy"``, corners from top left on, clockwise.
        in_fmt: the format of ``boxes``.
        out_fmt: the format of the result; upright from upright, rotated from rotated.

    Returns:
        A new tensor; integers become float32 where halves can occur.

    Raises:
        ValueError: an unknown format, or ``boxes`` has no last dimension that fits ``in_fmt``.
        NotImplementedError: between an upright and a rotated format.

    Example:
        >>> import torch, fastcv
        >>> fastcv.ops.box_convert(torch.tensor([[2.0, 2.0, 6.0, 8.0]]), "xyxy", "cxcywh")
        tensor([[4., 5., 4., 6.]])
    """
    _check_format("box_convert", in_fmt, rotated=True)
    _check_format("box_convert", out_fmt, rotated=True)
    upright = _is_upright(in_fmt)
    if upright != _is_upright(out_fmt):
        raise NotImplementedError(
            f"box_convert: {in_fmt} and {out_fmt} are not both upright or both rotated formats"
        )
    columns = 4 if upright else 8 if in_fmt == "xyxyxyxy" else 5
    _check_columns("box_convert", "boxes", boxes, columns)
    if in_fmt == out_fmt:
        return boxes.clone()
    if upright:
        return _from_corners(_to_corners(boxes, in_fmt), out_fmt)
    return _from_centre(_to_centre(boxes, in_fmt), out_fmt)


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """Intersection over union of every pair.

    Args:
        boxes1: ``[N, 4]``, or ``[N, 5]`` or ``[N, 8]`` in a rotated format; any dtype. Upright
            boxes may come in batches, ``[..., N, 4]``.
        boxes2: ``[M, 4]`` likewise, the dtype of ``boxes1``.
        fmt: any format of ``box_convert``, for both.

    Returns:
        ``[N, M]``, or ``[..., N, M]`` of batches, floating and never above 1; float16 and bfloat16
        become float32. NaN for two upright boxes without area, as in torchvision.

    Raises:
        ValueError: an unknown format, or a shape that does not fit it.

    Example:
        >>> import torch, fastcv
        >>> a = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
        >>> fastcv.ops.box_iou(a, torch.tensor([[0.0, 0.0, 4.0, 2.0], [2.0, 2.0, 6.0, 6.0]]))
        tensor([[0.5000, 0.1429]])
    """
    _check_format("box_iou", fmt, rotated=True)
    boxes1, boxes2 = _widened(boxes1), _widened(boxes2)
    if not _is_upright(fmt):
        return box_iou_rotated(
            box_convert(boxes1, fmt, "cxcywhr"), box_convert(boxes2, fmt, "cxcywhr")
        )
    _check_pair("box_iou", boxes1, boxes2)
    inter, union = _inter_union(_to_corners(boxes1, fmt), _to_corners(boxes2, fmt))
    return inter / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """GIoU of every pair: IoU less the part of the smallest common box that neither covers.

    Args:
        boxes1: ``[N, 4]`` as ``(x1, y1, x2, y2)``, or batches ``[..., N, 4]``.
        boxes2: ``[M, 4]`` likewise.

    Returns:
        ``[N, M]``, or ``[..., N, M]``, in [-1, 1].

    Raises:
        ValueError: a shape other than above.

    Source: Rezatofighi et al., "Generalized Intersection over Union" (2019), algorithm 1.

    Example:
        >>> import torch, fastcv
        >>> a, b = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 0.0, 4.0, 1.0]])
        >>> fastcv.ops.generalized_box_iou(a, b)
        tensor([[-0.5000]])
    """
    _check_pair("generalized_box_iou", boxes1, boxes2)
    boxes1, boxes2 = _widened(boxes1), _widened(boxes2)
    inter, union = _inter_union(boxes1, boxes2)
    width, height = _hull(boxes1.unsqueeze(-2), boxes2.unsqueeze(-3))
    hull = width * height
    return inter / union - (hull - union) / hull


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """DIoU of every pair: IoU less the squared distance of centres over that of the hull's corners.

    Args:
        boxes1: ``[N, 4]`` as ``(x1, y1, x2, y2)``, or batches ``[..., N, 4]``.
        boxes2: ``[M, 4]`` likewise.
        eps: added to the squared diagonal.

    Returns:
        ``[N, M]``, or ``[..., N, M]``, in [-1, 1].

    Raises:
        ValueError: a shape other than above.

    Source: Zheng et al., "Distance-IoU Loss" (2020), equation 7.

    Example:
        >>> import torch, fastcv
        >>> a, b = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[3.0, 0.0, 4.0, 1.0]])
        >>> fastcv.ops.distance_box_iou(a, b)
        tensor([[-0.5294]])
    """
    _check_pair("distance_box_iou", boxes1, boxes2)
    boxes1, boxes2 = _widened(boxes1), _widened(boxes2)
    inter, union = _inter_union(boxes1, boxes2)
    return inter / union - _distance(boxes1.unsqueeze(-2), boxes2.unsqueeze(-3), eps)


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """CIoU of every pair: DIoU less a penalty for different aspect ratios.

    Args:
        boxes1: ``[N, 4]`` as ``(x1, y1, x2, y2)``, or batches ``[..., N, 4]``.
        boxes2: ``[M, 4]`` likewise.
        eps: added to the denominators.

    Returns:
        ``[N, M]``, or ``[..., N, M]``. The penalty's weight has no gradient, as in the paper.

    Raises:
        ValueError: a shape other than above.

    Source: Zheng et al., "Distance-IoU Loss" (2020), equations 8 to 11.

    Example:
        >>> import torch, fastcv
        >>> a = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
        >>> fastcv.ops.complete_box_iou(a, a)
        tensor([[1.]])
    """
    _check_pair("complete_box_iou", boxes1, boxes2)
    boxes1, boxes2 = _widened(boxes1), _widened(boxes2)
    inter, union = _inter_union(boxes1, boxes2)
    iou = inter / union
    penalty = _aspect_penalty(boxes1.unsqueeze(-2), boxes2.unsqueeze(-3), iou, eps)
    return iou - _distance(boxes1.unsqueeze(-2), boxes2.unsqueeze(-3), eps) - penalty


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes cut to an image.

    Args:
        boxes: ``[..., 4]`` as ``(x1, y1, x2, y2)``.
        size: the image's ``(height, width)``.

    Returns:
        A new tensor like ``boxes``, x within ``[0, width]``, y within ``[0, height]``.

    Raises:
        ValueError: ``boxes`` has no last dimension of 4.

    Example:
        >>> import torch, fastcv
        >>> fastcv.ops.clip_boxes_to_image(torch.tensor([[-3.0, 2.0, 50.0, 90.0]]), (60, 40))
        tensor([[ 0.,  2., 40., 60.]])
    """
    _check_columns("clip_boxes_to_image", "boxes", boxes, 4)
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack((x, y), dim=-1).flatten(-2)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Indices of boxes whose sides are both at least ``min_size``.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``.
        min_size: in the unit of ``boxes``.

    Returns:
        ``[K]`` int64, ascending.

    Raises:
        ValueError: ``boxes`` is not ``[N, 4]``.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[0.0, 0.0, 5.0, 5.0], [0.0, 0.0, 5.0, 1.0]])
        >>> fastcv.ops.remove_small_boxes(boxes, min_size=2)
        tensor([0])
    """
    _check_columns("remove_small_boxes", "boxes", boxes, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    return (sides >= min_size).all(dim=1).nonzero().flatten()


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The tightest box about each mask.

    Args:
        masks: ``[N, H, W]``, any dtype; what is not 0 belongs to the mask.

    Returns:
        ``[N, 4]`` float32 as ``(x1, y1, x2, y2)``, the first and last pixels themselves; zeros for
        an empty mask. No loop over masks, no copy of them, and no wait for the device.

    Raises:
        ValueError: ``masks`` is not ``[N, H, W]``.

    Example:
        >>> import torch, fastcv
        >>> mask = torch.zeros(1, 6, 8)
        >>> mask[0, 2:5, 3:7] = 1
        >>> fastcv.ops.masks_to_boxes(mask)
        tensor([[3., 2., 6., 4.]])
    """
    if masks.dim() != 3:
        raise ValueError(f"masks_to_boxes: masks must be [N, H, W], got {list(masks.shape)}")
    if masks.numel() == 0:
        return torch.zeros((masks.shape[0], 4), device=masks.device)
    rows, columns = masks.any(dim=2), masks.any(dim=1)
    x1, x2 = _first_and_last(columns)
    y1, y2 = _first_and_last(rows)
    boxes = torch.stack((x1, y1, x2, y2), dim=1).float()
    return boxes * rows.any(dim=1, keepdim=True)


def _first_and_last(flags: Tensor) -> tuple[Tensor, Tensor]:
    numbers = flags.to(torch.uint8)  # argmax finds the first of equals
    return numbers.argmax(dim=1), flags.shape[1] - 1 - numbers.flip(1).argmax(dim=1)


# Recorded by torch.fx as calls: while a graph is traced there is no shape, dtype or value to ask.


@torch.fx.wrap
def _is_upright(fmt: str) -> bool:
    return fmt in ("xyxy", "xywh", "cxcywh")


@torch.fx.wrap
def _check_format(op: str, fmt: str, rotated: bool) -> None:
    if not _is_upright(fmt) and not (rotated and fmt in ("cxcywhr", "xywhr", "xyxyxyxy")):
        known = "xyxy, xywh, cxcywh" + (", cxcywhr, xywhr, xyxyxyxy" if rotated else "")
        raise ValueError(f"{op}: format must be one of {known}, got '{fmt}'")


@torch.fx.wrap
def _check_columns(op: str, name: str, boxes: Tensor, columns: int) -> None:
    if boxes.dim() == 0 or boxes.shape[-1] != columns:
        raise ValueError(f"{op}: {name} must have shape [..., {columns}], got {list(boxes.shape)}")


@torch.fx.wrap
def _check_pair(op: str, boxes1: Tensor, boxes2: Tensor) -> None:
    if boxes1.dim() < 2 or boxes1.shape[-1] != 4:
        raise ValueError(f"{op}: boxes1 must have shape [N, 4], got {list(boxes1.shape)}")
    if boxes2.dim() < 2 or boxes2.shape[-1] != 4:
        raise ValueError(f"{op}: boxes2 must have shape [M, 4], got {list(boxes2.shape)}")


@torch.fx.wrap
def _widened(t: Tensor) -> Tensor:
    """What differences and products of coordinates are safe in."""
    if t.is_floating_point():
        return t if t.dtype in (torch.float32, torch.float64) else t.float()
    return t if t.dtype in (torch.int32, torch.int64) else t.int()


def _to_corners(boxes: Tensor, fmt: str) -> Tensor:
    if fmt == "xyxy":
        return boxes
    first, size = boxes[..., :2], boxes[..., 2:]
    if fmt == "xywh":
        return torch.cat((first, first + size), dim=-1)
    return torch.cat((first - size / 2, first + size / 2), dim=-1)


def _from_corners(boxes: Tensor, fmt: str) -> Tensor:
    if fmt == "xyxy":
        return boxes
    low, high = boxes[..., :2], boxes[..., 2:]
    if fmt == "xywh":
        return torch.cat((low, high - low), dim=-1)
    return torch.cat(((low + high) / 2, high - low), dim=-1)


def _turned(u: Tensor, v: Tensor, degrees: Tensor) -> Tensor:
    """(u, v) of a box's own frame as an offset in the image: counter-clockwise with y down."""
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    return torch.stack((u * cos + v * sin, v * cos - u * sin), dim=-1)


def _to_centre(boxes: Tensor, fmt: str) -> Tensor:
    if fmt == "cxcywhr":
        return boxes
    if fmt == "xywhr":
        w, h, angle = boxes[..., 2], boxes[..., 3], boxes[..., 4]
        return torch.cat((boxes[..., :2] + _turned(w / 2, h / 2, angle), boxes[..., 2:]), dim=-1)
    corners = torch.unflatten(boxes, -1, (4, 2))
    across, down = corners[..., 1, :] - corners[..., 0, :], corners[..., 3, :] - corners[..., 0, :]
    angle = torch.atan2(-across[..., 1], across[..., 0]).rad2deg()
    centre = (corners[..., 0, :] + corners[..., 2, :]) / 2
    size = torch.stack((across.norm(2, dim=-1), down.norm(2, dim=-1), angle), dim=-1)
    return torch.cat((centre, size), dim=-1)


def _from_centre(boxes: Tensor, fmt: str) -> Tensor:
    if fmt == "cxcywhr":
        return boxes
    centre, w, h, angle = boxes[..., :2], boxes[..., 2], boxes[..., 3], boxes[..., 4]
    if fmt == "xywhr":
        return torch.cat((centre + _turned(-w / 2, -h / 2, angle), boxes[..., 2:]), dim=-1)
    top_left, top_right = _turned(-w / 2, -h / 2, angle), _turned(w / 2, -h / 2, angle)
    corners = (centre + top_left, centre + top_right, centre - top_left, centre - top_right)
    return torch.cat(corners, dim=-1)


def _inter_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """``[..., N, M]`` intersections and unions of what is widened.

    Column by column: no [N, M, 2] in between.
    """
    x1, y1, x2, y2 = boxes1.unsqueeze(-2).unbind(-1)
    u1, v1, u2, v2 = boxes2.unsqueeze(-3).unbind(-1)
    width = (torch.minimum(x2, u2) - torch.maximum(x1, u1)).clamp(min=0)
    height = (torch.minimum(y2, v2) - torch.maximum(y1, v1)).clamp(min=0)
    inter = width * height
    return inter, (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - inter


def _hull(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box about both."""
    low = torch.minimum(boxes1[..., :2], boxes2[..., :2])
    high = torch.maximum(boxes1[..., 2:], boxes2[..., 2:])
    width, height = (high - low).unbind(-1)
    return width, height


def _distance(boxes1: Tensor, boxes2: Tensor, eps: float) -> Tensor:
    """The squared distance of the centres over that of the hull's corners."""
    width, height = _hull(boxes1, boxes2)
    centre1, centre2 = boxes1[..., :2] + boxes1[..., 2:], boxes2[..., :2] + boxes2[..., 2:]
    across, down = (centre1 / 2 - centre2 / 2).unbind(-1)
    return (across.square() + down.square()) / (width.square() + height.square() + eps)


def _aspect_penalty(boxes1: Tensor, boxes2: Tensor, iou: Tensor, eps: float) -> Tensor:
    v = (4 / math.pi**2) * (_aspect(boxes1) - _aspect(boxes2)).square()
    with torch.no_grad():
        weight = v / (1 - iou + v + eps)
    return weight * v


def _aspect(boxes: Tensor) -> Tensor:
    """arctan(w / h): pi/2 where h is 0, with the slope that it has there; a point is a square."""
    w, h = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    point = torch.maximum(w.abs(), h.abs()) < 1e-15  # the slope is one over this
    w, h = w.masked_fill(point, 1.0), h.masked_fill(point, 1.0)
    return torch.atan2(w, h)
