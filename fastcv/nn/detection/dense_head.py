"""What single-stage detectors share: from maps of outputs to rows for anchors, and to boxes."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.precision import full_precision
from fastcv.ops import batched_nms, clip_boxes_to_image


def per_anchor(x: Tensor, columns: int) -> Tensor:
    """A row for each anchor, cell by cell; no copy where ``x`` lies in channels_last.

    Args:
        x: ``[B, A * columns, H, W]``, the columns of an anchor together.
        columns: numbers of an anchor.

    Returns:
        ``[B, H * W * A, columns]``, at least float32.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.dense_head import per_anchor
        >>> per_anchor(torch.arange(8.0).reshape(1, 4, 1, 2), columns=2)  # two cells, two anchors
        tensor([[[0., 2.],
                 [4., 6.],
                 [1., 3.],
                 [5., 7.]]])
    """
    return full_precision(x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, columns))


class Candidates(NamedTuple):
    """Anchors of one image that may be objects of a class; an anchor may come more than once."""

    anchors: Tensor
    """``[K]`` int64."""
    labels: Tensor
    """``[K]`` int64."""
    scores: Tensor
    """``[K]``."""


def best_pairs(logits: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The highest logits over all anchors and classes.

    Args:
        logits: ``[B, N, C]``.
        count: how many for each image; all of them where there are fewer.

    Returns:
        values, anchors and classes, each ``[B, K]``, by falling value.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.dense_head import best_pairs
        >>> best_pairs(torch.tensor([[[1.0, 5.0], [4.0, 0.0]]]), 2)
        (tensor([[5., 4.]]), tensor([[0, 1]]), tensor([[1, 0]]))
    """
    classes = logits.shape[2]
    # A pair among the first K belongs to an anchor among the first K by its best class: one pass
    # over the millions of pairs, and sorting is left with K anchors' pairs.
    anchors = logits.amax(dim=2).topk(min(count, logits.shape[1]), dim=1).indices
    pairs = logits.gather(1, anchors[..., None].expand(-1, -1, classes)).flatten(1)
    values, index = pairs.topk(min(count, pairs.shape[1]), dim=1)
    return values, anchors.gather(1, index // classes), index % classes


def found_boxes(
    candidates: Candidates,
    deltas: Tensor,
    anchors: Tensor,
    coder: BoxCoder,
    size: tuple[int, int],
    *,
    iou_threshold: float,
    max_detections: int,
) -> FoundBoxes:
    """Boxes of one image: candidates decoded, cut to the image, and thinned class by class.

    Args:
        candidates: at most a few thousand; only these are decoded.
        deltas: ``[N, 4]`` for all anchors.
        anchors: ``[N, 4]``.
        coder: of ``deltas``.
        size: the image's ``(height, width)`` in the input.
        iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
        max_detections: at most so many boxes.
    """
    index, labels, scores = candidates
    boxes = clip_boxes_to_image(coder.decode(deltas[index], anchors[index]), size)
    keep = batched_nms(boxes, scores, labels, iou_threshold)[:max_detections]
    return FoundBoxes(boxes[keep], scores[keep], labels[keep])
