"""Targets of detectors: what they must be, and their objects in pixels of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fastcv.nn.detection.transform import ImageBatch, resize_boxes


def check_targets(targets: Sequence[Mapping[str, Any]], images: int, num_classes: int) -> None:
    """Looks at every box and label.

    Args:
        targets: for each image ``boxes`` ``[N, 4]`` floating as ``(x1, y1, x2, y2)`` and
            ``labels`` ``[N]`` int64, 1 and up.
        images: how many there must be.
        num_classes: labels must be below.

    Raises:
        TypeError: they are no list of dicts.
        ValueError: one sentence with the image's and the box's index.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.targets import check_targets
        >>> boxes, labels = torch.tensor([[4.0, 2.0, 4.0, 8.0]]), torch.tensor([1])
        >>> check_targets([{"boxes": boxes, "labels": labels}], images=1, num_classes=2)
        Traceback (most recent call last):
        ...
        ValueError: targets[0]: box 0 must have x1 < x2 and y1 < y2, got [4.0, 2.0, 4.0, 8.0]
    """
    if not isinstance(targets, Sequence) or not all(isinstance(t, Mapping) for t in targets):
        got = type(targets).__name__
        if isinstance(targets, Sequence):
            got += f" of {next(type(t).__name__ for t in targets if not isinstance(t, Mapping))}"
        raise TypeError(f"targets must be a list of a dict for each image, got {got}")
    if len(targets) != images:
        raise ValueError(
            f"targets must have one entry for each image, got {len(targets)} for {images} images"
        )
    for i, target in enumerate(targets):
        for key in ("boxes", "labels"):
            if not isinstance(target.get(key), Tensor):
                raise ValueError(f"targets[{i}] must have a tensor {key!r}, has {sorted(target)}")
        boxes, labels = target["boxes"], target["labels"]
        if boxes.dim() != 2 or boxes.shape[1] != 4 or not boxes.is_floating_point():
            raise ValueError(
                f"targets[{i}]: boxes must be floating [N, 4], got {boxes.dtype} "
                f"{list(boxes.shape)}"
            )
        if labels.dtype != torch.int64 or labels.shape != boxes.shape[:1]:
            raise ValueError(
                f"targets[{i}]: labels must be int64 [{len(boxes)}], one for each box, got "
                f"{labels.dtype} {list(labels.shape)}"
            )
        if "iscrowd" in target and (got := _shape(target["iscrowd"])) != str([len(boxes)]):
            raise ValueError(
                f"targets[{i}]: iscrowd must be [{len(boxes)}], a flag for each box, got {got}"
            )
        # Written so that NaN fails; infinite corners have no finite size.
        sides = boxes[:, 2:] - boxes[:, :2]
        good_box = ((sides > 0) & sides.isfinite()).all(dim=1)
        good_label = (labels >= 1) & (labels < num_classes)
        if bool((good_box & good_label).all()):  # one wait for the device an image
            continue
        if not good_box.all():
            bad = int(good_box.int().argmin())
            raise ValueError(
                f"targets[{i}]: box {bad} must have x1 < x2 and y1 < y2, got {boxes[bad].tolist()}"
            )
        bad = int(good_label.int().argmin())
        raise ValueError(
            f"targets[{i}]: the label of box {bad} must be 1 to {num_classes - 1} "
            f"(0 is the background), got {int(labels[bad])}"
        )


def _shape(values: Any) -> str:
    """Of what may be a tensor, an array or a list; the type's name of what is none."""
    try:
        return str(list(torch.as_tensor(values).shape))
    except (TypeError, ValueError, RuntimeError):
        return type(values).__name__


def objects_in_batch(
    targets: Sequence[Mapping[str, Any]],
    batch: ImageBatch,
    num_classes: int,
    dtype: torch.dtype | None = None,
) -> list[tuple[Tensor, Tensor]]:
    """Boxes ``[N, 4]`` in pixels of the batch and labels ``[N]`` of each image, without crowds.

    Args:
        targets: as for ``check_targets``; their boxes are in pixels of the images.
        batch: what ``DetectionTransform`` made of the images.
        num_classes: labels must be below.
        dtype: of the boxes; None: as they come.

    Raises:
        ValueError: a target that cannot be right; the sentence names the image and the box.
    """
    check_targets(targets, len(batch.sizes), num_classes)
    objects = []
    for target, old, new in zip(targets, batch.original_sizes, batch.sizes, strict=True):
        boxes, labels = without_crowds(target)
        boxes = boxes if dtype is None else boxes.to(dtype)
        objects.append((resize_boxes(boxes, old, new), labels))
    return objects


def without_crowds(target: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Boxes and labels of single objects: a crowd's box (``iscrowd``) teaches nothing."""
    boxes, labels = target["boxes"], target["labels"]
    single = single_objects(target)
    return (boxes, labels) if single is None else (boxes[single], labels[single])


def single_objects(target: Mapping[str, Any]) -> Tensor | None:
    """Which boxes are no crowds, ``[N]`` bool; None where the target does not tell."""
    if "iscrowd" not in target:
        return None
    return ~torch.as_tensor(target["iscrowd"], device=target["labels"].device).bool()
