"""Which instances a panoptic map is made of: sure ones that do not lie on surer ones."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.panoptic.panoptic_logits import windows
from fastcv.ops import batched_nms, clip_boxes_to_image, remove_small_boxes


def select_boxes(
    class_logits: Tensor,
    box_deltas: Tensor,
    proposals: Tensor,
    size: tuple[int, int],
    coder: BoxCoder,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int,
) -> FoundBoxes:
    """Boxes of one image whose class is sure, thinned by NMS whatever their classes.

    Args:
        class_logits: ``[K, classes]``, the background first.
        box_deltas: ``[K, classes, 4]``.
        proposals: ``[K, 4]``.
        size: the image's ``(height, width)``; boxes are cut to it.
        coder: of the offsets.
        score_threshold: a class's probability must be above it.
        iou_threshold: the lesser of two boxes that overlap more is dropped.
        max_detections: at most so many boxes.

    Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network" (2019), section 3.3.
    """
    scores = class_logits.softmax(dim=-1)[:, 1:]
    proposal, label = (scores > score_threshold).nonzero(as_tuple=True)
    scores, label = scores[proposal, label], label + 1
    boxes = coder.decode(box_deltas[proposal, label], proposals[proposal])
    boxes = clip_boxes_to_image(boxes, size)
    large = remove_small_boxes(boxes, min_size=1e-2)
    boxes, scores, label = boxes[large], scores[large], label[large]
    keep = batched_nms(boxes, scores, torch.zeros_like(label), iou_threshold)[:max_detections]
    return FoundBoxes(boxes[keep], scores[keep], label[keep])


def without_covered(
    found: FoundBoxes, masks: Tensor, size: tuple[int, int], *, max_overlap: float
) -> Tensor:
    """Which instances are left when those are removed that lie on surer ones of their class.

    Args:
        found: boxes by falling score.
        masks: ``[N, M, M]`` logits on the boxes; what is above 0 is the instance's.
        size: the map's ``(height, width)``.
        max_overlap: an instance goes if a greater share of its pixels is that of instances of
            its class that stay. So does one that has no pixels.

    Returns:
        their indices, by falling score.

    Source: Xiong et al., "UPSNet" (2019), section 3.3.

    Example:
        >>> import torch
        >>> from fastcv.nn import FoundBoxes
        >>> from fastcv.nn.panoptic.instance_selection import without_covered
        >>> boxes = torch.tensor([[0.0, 0, 4, 4], [1, 0, 5, 4], [0, 0, 4, 4]])
        >>> found = FoundBoxes(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([1, 1, 2]))
        >>> without_covered(found, torch.ones(3, 2, 2), (4, 8), max_overlap=0.3)
        tensor([0, 2])
    """
    taken: dict[int, Tensor] = {}
    kept = []
    for i, (label, window) in enumerate(
        zip(found.labels.tolist(), windows(found.boxes, size), strict=True)
    ):
        if window is None:
            continue
        mask = window.stretched(masks[i]) > 0
        if label not in taken:
            taken[label] = torch.zeros(size, dtype=torch.bool, device=masks.device)
        under = taken[label][window.inside]
        pixels = int(mask.sum())
        if pixels == 0 or int((under & mask).sum()) > max_overlap * pixels:
            continue
        under |= mask
        kept.append(i)
    return torch.tensor(kept, dtype=torch.int64, device=found.labels.device)
