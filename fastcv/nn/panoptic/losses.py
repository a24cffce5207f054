"""What the semantic and the panoptic head learn from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.nn.losses.segmentation_losses import pixel_cross_entropy
from fastcv.nn.panoptic.targets import UNCOUNTED
from fastcv.ops import roi_align

SAMPLES = 28  # of a box along each axis


def box_cross_entropy(
    logits: Tensor, boxes: Sequence[Tensor], semantic: Tensor, *, stride: int
) -> Tensor:
    """Cross-entropy of 28 x 28 samples of each object's box: small things weigh as large ones.

    Args:
        logits: ``[B, classes, H / stride, W / stride]``.
        boxes: for each image ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels of ``semantic``.
        semantic: ``[B, H, W]`` int64, the class of each pixel; 255 does not count.
        stride: pixels of ``semantic`` per pixel of ``logits``.

    Returns:
        The mean over all samples, a scalar.

    Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network" (2019), section 3.2.
    """
    rois = torch.cat([F.pad(b, (1, 0), value=i) for i, b in enumerate(boxes)]).to(logits.dtype)
    found = roi_align(logits, rois, SAMPLES, 1 / stride)
    return pixel_cross_entropy(found, _label_samples(semantic, rois))


def _label_samples(semantic: Tensor, rois: Tensor) -> Tensor:
    """The labels at the centres of ``SAMPLES`` x ``SAMPLES`` bins of each box.

    Args:
        semantic: ``[B, H, W]``.
        rois: ``[N, 5]``: the image's index, then ``(x1, y1, x2, y2)``.
    """
    share = (torch.arange(SAMPLES, device=rois.device) + 0.5) / SAMPLES
    image, x1, y1, x2, y2 = rois.unbind(1)
    x = (x1[:, None] + share * (x2 - x1)[:, None]).long().clamp(0, semantic.shape[2] - 1)
    y = (y1[:, None] + share * (y2 - y1)[:, None]).long().clamp(0, semantic.shape[1] - 1)
    return semantic[image.long()[:, None, None], y[:, :, None], x[:, None, :]]


def panoptic_cross_entropy(logits: Tensor, expected: Tensor) -> Tensor:
    """Cross-entropy of the pixels of an image, their mean; 0 where none counts.

    Args:
        logits: ``[K, H, W]``, of ``panoptic_logits``.
        expected: ``[H, W]`` int64, of ``panoptic_targets``; -1 does not count.

    Example:
        >>> import torch
        >>> from fastcv.nn.panoptic.losses import panoptic_cross_entropy
        >>> logits = torch.tensor([[[0.0, 9.0]], [[0.0, 0.0]]])  # two segments, two pixels
        >>> panoptic_cross_entropy(logits, torch.tensor([[1, -1]]))  # ln 2
        tensor(0.6931)
    """
    total = F.cross_entropy(logits[None], expected[None], ignore_index=UNCOUNTED, reduction="sum")
    return total / (expected != UNCOUNTED).sum().clamp(min=1)
