"""What a detector found in an image, as tensors, and how candidates become that."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from fastcv.ops import batched_nms, clip_boxes_to_image, remove_small_boxes


class FoundBoxes(NamedTuple):
    """What was found in one image, by falling score."""

    boxes: Tensor
    """``[N, 4]``."""
    scores: Tensor
    """``[N]``."""
    labels: Tensor
    """``[N]`` int64, 1 and up."""


def suppressed(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    size: tuple[int, int],
    *,
    iou_threshold: float,
    max_detections: int,
) -> FoundBoxes:
    """Boxes of one image, cut to it, without those that have no extent left; NMS by class.

    Args:
        boxes: ``[K, 4]``.
        scores: ``[K]``.
        labels: ``[K]`` int64.
        size: the image's ``(height, width)``.
        iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
        max_detections: at most so many boxes.
    """
    boxes = clip_boxes_to_image(boxes, size)
    large = remove_small_boxes(boxes, min_size=1e-2)
    boxes, scores, labels = boxes[large], scores[large], labels[large]
    keep = batched_nms(boxes, scores, labels, iou_threshold)[:max_detections]
    return FoundBoxes(boxes[keep], scores[keep], labels[keep])
