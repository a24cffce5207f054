"""Targets of panoptic systems: label maps and masks in pixels of a batch, and who owns a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fastcv.classes import IGNORE
from fastcv.nn.detection.roi_branch import Frame
from fastcv.nn.detection.targets import check_targets

UNCOUNTED = -1  # the target of a pixel that no loss is of: 255 may be an instance


def check_panoptic_targets(
    targets: Sequence[Mapping[str, Any]],
    image_sizes: Sequence[tuple[int, int]],
    *,
    num_classes: int,
    num_stuff: int,
) -> None:
    """Looks at boxes, labels and label maps.

    Args:
        targets: for each image ``boxes`` ``[N, 4]`` and ``labels`` ``[N]`` int64 of its things, and
            ``semantic`` ``[H, W]`` int64, the class of each pixel; 255 is void.
        image_sizes: ``(height, width)`` of each image.
        num_classes: labels must be below.
        num_stuff: labels of things must not be below; those of stuff are.

    Raises:
        TypeError: they are no list of dicts.
        ValueError: one sentence with the image's index.
    """
    check_targets(targets, len(image_sizes), num_classes)
    for i, (target, size) in enumerate(zip(targets, image_sizes, strict=True)):
        labels, semantic = target["labels"], target.get("semantic")
        if (stuff := labels < num_stuff).any():
            bad = int(stuff.int().argmax())
            raise ValueError(
                f"targets[{i}]: the label of box {bad} must be of a thing, {num_stuff} to "
                f"{num_classes - 1}, got {int(labels[bad])}"
            )
        if not isinstance(semantic, Tensor):
            raise ValueError(f"targets[{i}] must have a tensor 'semantic', has {sorted(target)}")
        if semantic.dtype != torch.int64 or tuple(semantic.shape) != tuple(size):
            raise ValueError(
                f"targets[{i}]: semantic must be int64 {list(size)}, as the image is, got "
                f"{semantic.dtype} {list(semantic.shape)}"
            )
        known = (semantic >= 0) & (semantic < num_classes) | (semantic == IGNORE)
        if not known.all():
            raise ValueError(
                f"targets[{i}]: semantic must be 0 to {num_classes - 1}, or {IGNORE} for void, got "
                f"{int(semantic[~known][0])}"
            )


def map_in_batch(
    maps: Tensor, frame: Frame, batch_size: tuple[int, int], *, stride: int = 1, fill: int = 0
) -> Tensor:
    """Label maps or masks of an image as they lie in a batch, by the nearest pixel.

    Args:
        maps: ``[..., H, W]`` of the image.
        frame: its sizes.
        batch_size: the batch's ``(height, width)``, multiples of ``stride``.
        stride: 4: every fourth pixel, from the third on, in both directions.
        fill: where the batch is larger than the image.

    Returns:
        ``[..., height / stride, width / stride]``.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.roi_branch import Frame
        >>> from fastcv.nn.panoptic.targets import map_in_batch
        >>> map_in_batch(torch.tensor([[1, 2]]), Frame((1, 2), (2, 4)), (2, 6), fill=255)
        tensor([[  1,   1,   2,   2, 255, 255],
                [  1,   1,   2,   2, 255, 255]])
    """
    rows, columns = (
        _nearest(old, new, stride, maps.device)
        for old, new in zip(frame.original_size, frame.size, strict=True)
    )
    height, width = (side // stride for side in batch_size)
    found = maps.new_full((*maps.shape[:-2], height, width), fill)
    found[..., : len(rows), : len(columns)] = maps[..., rows[:, None], columns]
    return found


def _nearest(old: int, new: int, stride: int, device: torch.device) -> Tensor:
    centre = torch.arange(stride // 2, new, stride, device=device) + 0.5
    return (centre * (old / new)).long().clamp(max=old - 1)


def panoptic_targets(
    semantic: Tensor, masks: Tensor, *, num_stuff: int, unknown: bool = True
) -> Tensor:
    """Which of the panoptic logits each pixel should have.

    A pixel of a thing that no mask has, for its instance was left out, is to be unknown. Without
    an unknown class it does not count.

    Args:
        semantic: ``[H, W]`` int64, classes with those of stuff first; 255 does not count.
        masks: ``[N, H, W]`` bool, of the instances whose logits there are, in that order.
        num_stuff: how many of the classes are stuff.
        unknown: whether there is an unknown class.

    Returns:
        ``[H, W]`` int64: a stuff class, ``num_stuff`` and up for the instances, ``num_stuff + N``
        for the unknown class; -1 does not count.

    Source: Xiong et al., "UPSNet" (2019), section 3.2, on the unknown class.

    Example:
        >>> import torch
        >>> from fastcv.nn.panoptic.targets import panoptic_targets
        >>> semantic = torch.tensor([[0, 1, 1, 255]])  # stuff, two things, void
        >>> one = torch.tensor([[[False, True, False, False]]])
        >>> panoptic_targets(semantic, one, num_stuff=1)
        tensor([[ 0,  1,  2, -1]])
    """
    void = semantic == IGNORE
    rest = num_stuff + len(masks) if unknown else UNCOUNTED
    targets = torch.where(semantic >= num_stuff, rest, semantic)
    for i, mask in enumerate(masks):
        targets[mask] = num_stuff + i
    return targets.masked_fill(void, UNCOUNTED)
