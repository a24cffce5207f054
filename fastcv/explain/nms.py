"""Non-maximum suppression, one kept box at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastcv._extras import need
from fastcv.ops import batched_nms, box_iou

KEPT, DROPPED, OTHER = "#00d0a0", "#ff4d6d", "#ffffff"


class NMSStep(NamedTuple):
    """One step: the best box that is left is kept, and others go because of it."""

    kept: int
    dropped: list[int]


def nms_steps(
    boxes: Tensor, scores: Tensor, iou_threshold: float, labels: Tensor | None = None
) -> list[NMSStep]:
    """What NMS does, in order.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``.
        scores: ``[N]``.
        iou_threshold: boxes that overlap a better one by more are dropped.
        labels: ``[N]``; only boxes of the same label suppress each other. None: all do.

    Returns:
        a step for each box that is kept, by falling score; every box is in one of them.

    Example:
        >>> import torch
        >>> from fastcv.explain import nms_steps
        >>> boxes = torch.tensor([[0.0, 0, 10, 10], [1.0, 0, 11, 10], [20.0, 0, 30, 10]])
        >>> nms_steps(boxes, torch.tensor([0.8, 0.9, 0.7]), 0.5)
        [NMSStep(kept=1, dropped=[0]), NMSStep(kept=2, dropped=[])]
    """
    if labels is None:
        labels = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    keep = batched_nms(boxes, scores, labels, iou_threshold)
    overlap = (box_iou(boxes[keep], boxes) > iou_threshold) & (labels[keep, None] == labels)
    left = np.ones(len(boxes), dtype=np.bool_)
    steps = []
    for row, box in zip(overlap.cpu().numpy(), keep.tolist(), strict=True):
        left[box] = False
        gone = np.flatnonzero(left & row).tolist()
        left[gone] = False
        steps.append(NMSStep(box, gone))
    return steps


def draw_box(axes: Any, box: Tensor, colour: Any, width: float, alpha: float = 1.0) -> None:
    """The outline of ``(x1, y1, x2, y2)`` on a matplotlib axes."""
    rectangle = need("matplotlib.patches", extra="viz").Rectangle
    x1, y1, x2, y2 = box.tolist()
    axes.add_patch(
        rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=width, alpha=alpha)
    )


def draw_nms_step(axes: Any, boxes: Tensor, steps: list[NMSStep], number: int) -> None:
    """The boxes as they are after step ``number`` (from 0): kept, just dropped, still left."""
    step, boxes = steps[number], boxes.cpu()
    for later in steps[number + 1 :]:
        for i in (later.kept, *later.dropped):
            draw_box(axes, boxes[i], OTHER, 0.4, 0.25)
    for i in step.dropped:
        draw_box(axes, boxes[i], DROPPED, 1.0, 0.9)
    for earlier in steps[: number + 1]:
        draw_box(axes, boxes[earlier.kept], KEPT, 1.8)
