"""Which of a clip's objects is which: boxes found in a frame, and those that were there before."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.ops import box_iou

# What counts beside the logits that two boxes show the same object.
IOU_WEIGHT = 2.0
LABEL_WEIGHT = 10.0
MAX_AGE = 30  # frames that an object may be out of sight
MIN_IOU = 0.3  # with the last box of an object, where nothing but boxes tells which it is


class Tracks(NamedTuple):
    """The objects that a clip has shown so far, but for those that are gone for long."""

    boxes: Tensor
    """``[M, 4]``, where each was seen last."""
    labels: Tensor
    """``[M]`` int64."""
    ids: Tensor
    """``[M]`` int64, from 1; none is given twice."""
    unseen: Tensor
    """``[M]`` int64, frames since."""
    features: Tensor
    """``[M, D]``, what describes each; D is 0 where nothing does."""
    last_id: int
    """The largest that was given."""


def no_tracks(found: FoundBoxes, features: Tensor) -> Tracks:
    """What is known before a clip's first frame, of the dtypes and devices of these."""
    none = found.labels[:0]
    return Tracks(found.boxes[:0], none, none, none, features[:0], 0)


def match_scores(
    logits: Tensor, found: FoundBoxes, tracks: Tracks, *, min_iou: float = 0.0
) -> Tensor:
    """How well each box fits each object, and a new one.

    The sum of the log of the softmax of the logits, of the log of the box's score, of 2 IoU with
    the object's last box, and of 10 where the labels are the same. Of a new object the IoU is
    ``min_iou`` and the label the same.

    Args:
        logits: ``[N, 1 + M]``, the first column of a new object.
        found: the frame's boxes.
        tracks: the objects so far.
        min_iou: what IoU a new object is given.

    Returns:
        ``[N, 1 + M]``.

    Source: Kim et al., "Video Panoptic Segmentation" (2020), section 4.3; Yang et al., "Video
        Instance Segmentation" (2019), equation 4.
    """
    iou = box_iou(found.boxes, tracks.boxes.to(found.boxes.dtype))
    same = (found.labels[:, None] == tracks.labels).to(logits.dtype)
    of_new = logits.new_tensor([[IOU_WEIGHT * min_iou + LABEL_WEIGHT]]).expand(len(logits), 1)
    of_known = IOU_WEIGHT * iou.to(logits.dtype) + LABEL_WEIGHT * same
    likely = logits.log_softmax(dim=1) + found.scores.to(logits.dtype).log()[:, None]
    return likely + torch.cat([of_new, of_known], dim=1)


def best_matches(scores: Tensor) -> list[int]:
    """Which object each box is, -1 for a new one.

    Each box takes what fits it best. Of several that take the same object the best fitting one is
    it, the first of equals, and the others are new. A box with a score that is NaN is new.

    Args:
        scores: ``[N, 1 + M]``, the first column of a new object.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.tracks import best_matches
        >>> best_matches(torch.tensor([[0.0, 3, 1], [0, 4, 1], [0, -1, -1]]))
        [-1, 0, -1]
    """
    best, column = scores.max(dim=1)
    owner: dict[int, int] = {}
    for i, (score, k) in enumerate(zip(best.tolist(), column.tolist(), strict=True)):
        if k > 0 and score == score and (k not in owner or score > float(best[owner[k]])):
            owner[k] = i
    matches = [-1] * len(scores)
    for k, i in owner.items():
        matches[i] = k - 1
    return matches


def follow(
    tracks: Tracks | None,
    found: FoundBoxes,
    *,
    features: Tensor | None = None,
    logits: Tensor | None = None,
    max_age: int = MAX_AGE,
) -> tuple[Tensor, Tracks]:
    """Ids for a frame's boxes, and the objects as they are known after it.

    Args:
        tracks: the objects before the frame; None at the first.
        found: the frame's boxes.
        features: ``[N, D]`` to keep of each box.
        logits: ``[N, 1 + M]``, how like each box is a new object and each known one. None: boxes
            alone tell; one that overlaps none by an IoU of 0.3 is new.
        max_age: an object that is out of sight for more frames is forgotten, and new when it comes
            back: so memory does not grow with the clip.

    Returns:
        ids ``[N]`` int64, each once, and the tracks.

    Example:
        >>> import torch
        >>> from fastcv.nn import FoundBoxes
        >>> from fastcv.nn.detection.tracks import follow
        >>> boxes, tracks = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30]]), None
        >>> for step in (0, 2, 30):
        ...     found = FoundBoxes(boxes.flip(0) + step, torch.ones(2), torch.ones(2).long())
        ...     ids, tracks = follow(tracks, found)
        ...     print(ids.tolist())
        [1, 2]
        [1, 2]
        [3, 4]
    """
    if features is None:
        features = found.boxes.new_zeros(len(found.boxes), 0)
    if tracks is None:
        tracks = no_tracks(found, features)
    min_iou = 0.0
    if logits is None:
        logits = found.scores.new_zeros(len(found.boxes), 1 + len(tracks.ids))
        min_iou = MIN_IOU
    matches = best_matches(match_scores(logits, found, tracks, min_iou=min_iou))
    ids, last_id = [], tracks.last_id
    known = tracks.ids.tolist()
    for match in matches:
        last_id += match < 0
        ids.append(known[match] if match >= 0 else last_id)
    id = torch.tensor(ids, dtype=torch.int64, device=tracks.ids.device)
    kept = ~torch.isin(tracks.ids, id) & (tracks.unseen < max_age)
    return id, Tracks(
        torch.cat([tracks.boxes[kept], found.boxes]),
        torch.cat([tracks.labels[kept], found.labels]),
        torch.cat([tracks.ids[kept], id]),
        torch.cat([tracks.unseen[kept] + 1, torch.zeros_like(id)]),
        torch.cat([tracks.features[kept], features]),
        last_id,
    )
