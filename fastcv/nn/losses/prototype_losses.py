"""What masks of prototypes cost, and what a map of classes beside them does."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.nn.detection.prototypes import inside_boxes


def prototype_mask_loss(logits: Tensor, masks: Tensor, boxes: Tensor) -> Tensor:
    """Cross-entropy of the pixels in each object's box, over the box's area.

    Args:
        logits: ``[N, H, W]`` of ``combined``.
        masks: ``[N, H, W]`` of the objects, 0 or 1.
        boxes: ``[N, 4]`` of the objects as ``(x1, y1, x2, y2)`` in pixels of the maps; pixels up to
            1 outside of them count as well.

    Returns:
        ``[N]``; a box of less than one pixel counts as one.

    Source: Bolya et al., "YOLACT" (2019), section 3.2.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.prototype_losses import prototype_mask_loss
        >>> logits, masks = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
        >>> boxes = torch.tensor([[2.0, 2.0, 4.0, 6.0]])
        >>> prototype_mask_loss(logits, masks, boxes)  # 24 pixels of ln 2, over an area of 8
        tensor([2.0794])
    """
    inside = inside_boxes(boxes, (logits.shape[1], logits.shape[2]))
    cost = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    sides = boxes[:, 2:] - boxes[:, :2]
    # masked_fill, for infinity times 0 would be NaN.
    return cost.masked_fill(~inside, 0).sum(dim=(1, 2)) / sides.prod(dim=1).clamp(min=1)


def class_map_loss(logits: Tensor, masks: list[Tensor], labels: list[Tensor]) -> Tensor:
    """Cross-entropy of a map of each class, whose pixels may be of several classes.

    Args:
        logits: ``[B, C, H, W]``, without the background.
        masks: for each image ``[N, H, W]``, 0 or 1.
        labels: for each image ``[N]`` int64, 1 to C.

    Returns:
        A scalar: the sum over the classes, the mean over pixels and images.

    Source: Bolya et al., "YOLACT" (2019), section 4.2, "Semantic Segmentation Loss".

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.prototype_losses import class_map_loss
        >>> masks, labels = torch.ones(1, 2, 2), torch.tensor([1])
        >>> class_map_loss(torch.zeros(1, 3, 2, 2), [masks], [labels])  # 3 ln 2
        tensor(2.0794)
    """
    targets = torch.zeros_like(logits)
    for target, of_image, label in zip(targets, masks, labels, strict=True):
        target.index_add_(0, label - 1, of_image.to(target.dtype))
    cost = F.binary_cross_entropy_with_logits(logits, targets.clamp(max=1), reduction="sum")
    return cost / (logits.shape[0] * logits.shape[2] * logits.shape[3])
