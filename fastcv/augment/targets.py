"""Boxes, masks and keypoints, moved as their image is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastcv.augment._warp import sample
from fastcv.ops import masks_to_boxes

Targets = Any
"""Of a batch: None, labels ``[B]``, probabilities ``[B, C]``, or a list of target dicts."""

OF_IMAGE = ("image_id", "image_size", "orig_size", "size")
"""Fields of the image as a whole, of whatever length."""

CORNERS = torch.tensor([0, 1, 2, 1, 2, 3, 0, 3])
"""Of (x1, y1, x2, y2), the coordinates of the four corners."""

MIN_SIDE = 1e-3
"""Of a box, in pixels: what is thinner is nothing, and further steps would round it away."""


def move_targets(targets: Targets, matrices: Tensor, size: tuple[int, int]) -> Targets:
    """The targets of images that were moved by ``warp``.

    A moved box is the box about its four moved corners, cut at the image's edge; with masks it is
    the box about the moved mask, which may be smaller. Keypoints that leave the image get
    visibility 0 and x = y = 0. Objects of which nothing is left are dropped, and with them their
    rows of every field that is as long as ``boxes``, whatever its name: tensors, arrays, lists and
    tuples, but for ``image_id``, ``image_size``, ``orig_size`` and ``size``.

    ``proposals`` and own fields whose names end in ``_boxes``, ``_masks`` or ``_keypoints`` are
    moved too. Where they are not as long as ``boxes``, as proposals never are, those of which
    nothing is left are dropped by themselves, with the fields that are as long as ``proposals``.

    Targets that say nothing of places, such as labels, are returned as they are.

    Args:
        targets: None, a tensor, or a dict for each image as ``fastcv.data`` has them.
        matrices: ``[B, 3, 3]``, from old to new pixel coordinates.
        size: the new height and width.

    Example:
        >>> import torch
        >>> from fastcv.augment import move_targets
        >>> to_the_right = torch.tensor([[[1.0, 0, 4], [0, 1, 0], [0, 0, 1]]])
        >>> target = {"boxes": torch.tensor([[0.0, 0, 4, 4], [6, 0, 9, 4]]),
        ...           "labels": torch.tensor([1, 2])}
        >>> move_targets([target], to_the_right, (10, 10))
        [{'boxes': tensor([[4., 0., 8., 4.]]), 'labels': tensor([1])}]
    """
    if not is_places(targets):
        return targets
    return [_move(t, m, size) for t, m in zip(targets, matrices, strict=True)]


def is_places(targets: Targets) -> bool:
    """Whether targets say where something is: a list of dicts."""
    return isinstance(targets, (list, tuple)) and all(isinstance(t, dict) for t in targets)


def _move(target: dict[str, Any], matrix: Tensor, size: tuple[int, int]) -> dict[str, Any]:
    moved = dict(target)
    boxes = target["boxes"]
    matrix = matrix.to(boxes.device, torch.float64)
    whole = _around(boxes, matrix)
    cut = _cut(whole, size)
    moved["boxes"] = cut.to(boxes.dtype)
    keep = _has_area(moved["boxes"])
    if "masks" in target:
        moved["masks"] = _move_masks(target["masks"], matrix, size)
        keep &= moved["masks"].flatten(1).any(dim=1)
        cut = masks_to_boxes(moved["masks"]).to(cut)
        cut[:, 2:] += 1  # it names the last pixels; our boxes end after them
        moved["boxes"] = cut.to(boxes.dtype)
    if "area" in target:
        moved["area"] = _area(moved, target["area"], matrix, whole, cut)
    if "keypoints" in target:
        moved["keypoints"] = _move_keypoints(target["keypoints"], matrix, size)
    # By their length, whose rows fields have, and which of these stay: places, found once.
    rows: dict[int | None, Tensor] = {len(boxes): keep.nonzero()[:, 0]}
    done = set(OF_IMAGE)
    for name, value in target.items():
        move = _mover(name, value)
        if move is None:
            continue
        moved[name], there = move(value, matrix.to(value.device), size)
        if name == "proposals" or len(value) != len(boxes):
            moved[name] = moved[name][there]
            done.add(name)
        if name == "proposals":
            rows.setdefault(len(value), there.nonzero()[:, 0])
    for name, value in moved.items():
        which = None if name in done else rows.get(_length(value))
        if which is not None:
            moved[name] = _rows(value, which)
    return moved


Move = Callable[[Tensor, Tensor, tuple[int, int]], tuple[Tensor, Tensor]]


def _mover(name: str, value: Any) -> Move | None:
    """How an own field moves, and which of its rows are left; None: it has no places."""
    if name in ("boxes", "masks", "keypoints") or not isinstance(value, Tensor):
        return None
    kind = "boxes" if name == "proposals" else name.rpartition("_")[2]
    if kind == "boxes" and value.ndim == 2 and value.shape[1] == 4:
        return _own_boxes
    if kind == "masks" and value.ndim == 3:
        return _own_masks
    if kind == "keypoints" and value.ndim == 3 and value.shape[2] == 3:
        return _own_keypoints
    return None


def _own_boxes(boxes: Tensor, matrix: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    moved = _cut(_around(boxes, matrix), size).to(boxes.dtype)
    return moved, _has_area(moved)


def _own_masks(masks: Tensor, matrix: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    moved = _move_masks(masks, matrix, size)
    return moved.to(masks.dtype), moved.flatten(1).any(dim=1)


def _own_keypoints(points: Tensor, matrix: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    moved = _move_keypoints(points, matrix, size)
    return moved, (moved[..., 2] > 0).any(dim=1)


def _length(value: Any) -> int | None:
    if isinstance(value, (list, tuple)):
        return len(value)
    return len(value) if isinstance(value, (Tensor, np.ndarray)) and value.ndim else None


def _rows(value: Any, which: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value.index_select(0, which.to(value.device))
    if isinstance(value, np.ndarray):
        return value[which.cpu().numpy()]
    return type(value)(value[place] for place in which.tolist())


def _around(boxes: Tensor, matrix: Tensor) -> Tensor:
    """The boxes about the four moved corners of boxes, in float64."""
    corners = boxes[:, CORNERS].view(-1, 4, 2)
    placed = _points(corners, matrix)
    return torch.cat([placed.amin(dim=1), placed.amax(dim=1)], dim=1)


def _cut(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    edge = boxes.new_tensor([size[1], size[0]] * 2)
    return torch.minimum(boxes.clamp(min=0), edge)


def _has_area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE).all(dim=1)


def _points(points: Tensor, matrix: Tensor) -> Tensor:
    return points.double() @ matrix[:2, :2].T + matrix[:2, 2]


def _move_masks(masks: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    if not len(masks):
        return masks.new_zeros(0, *size)
    return sample(masks[None].float(), matrix[None], size, mode="nearest")[0] > 0.5


def _move_keypoints(keypoints: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    place = _points(keypoints[..., :2], matrix)
    edge = place.new_tensor([size[1], size[0]])
    inside = ((place >= 0) & (place < edge)).all(dim=-1, keepdim=True)
    there = inside & (keypoints[..., 2:] > 0)
    moved = torch.cat([place.to(keypoints.dtype), keypoints[..., 2:]], dim=-1)
    return torch.where(there, moved, torch.zeros_like(moved))


def _area(
    moved: dict[str, Any], area: Tensor, matrix: Tensor, whole: Tensor, cut: Tensor
) -> Tensor:
    """Pixels of the mask; without one, the old area scaled, less what the box lost at the edge."""
    if "masks" in moved:
        return moved["masks"].flatten(1).sum(dim=1).to(area.dtype)
    old, new = ((b[:, 2:] - b[:, :2]).prod(dim=1) for b in (whole, cut))
    scale = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    return (area * scale.abs() * new / old.clamp(min=1e-9)).to(area.dtype)
