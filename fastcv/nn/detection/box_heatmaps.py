"""Heatmaps on boxes: from a box in a picture, and back to the picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def expanded(boxes: Tensor, factor: float) -> Tensor:
    """Boxes ``[N, 4]`` with sides ``factor`` times as long, about the same centres.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.box_heatmaps import expanded
        >>> expanded(torch.tensor([[10.0, 10.0, 20.0, 30.0]]), 1.2)
        tensor([[ 9.,  8., 21., 32.]])
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    more = (high - low) * (factor - 1) / 2
    return torch.cat([low - more, high + more], dim=1)


def paste_heatmaps(
    heatmaps: Tensor, boxes: Tensor, image_size: tuple[int, int], threshold: float = 0.5
) -> Tensor:
    """The pixels of a picture where heatmaps that were stretched over boxes reach a threshold.

    Heatmaps end with their boxes, whose corners may lie within a pixel. Mask R-CNN's way, with a
    border of zeros and boxes cut to integers, is ``fastcv.ops.paste_masks``.

    Args:
        heatmaps: ``[N, h, w]``, floating point.
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels; may reach beyond the picture.
        image_size: the picture's ``(H, W)``.
        threshold: of bilinearly interpolated values.

    Returns:
        ``[N, H, W]`` bool, on the heatmaps' device; False outside the box.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.box_heatmaps import paste_heatmaps
        >>> boxes = torch.tensor([[2.0, 1.0, 6.0, 3.0]])
        >>> paste_heatmaps(torch.tensor([[[0.0, 1.0]]]), boxes, (4, 7))[0].int()
        tensor([[0, 0, 0, 0, 0, 0, 0],
                [0, 0, 0, 0, 1, 1, 0],
                [0, 0, 0, 0, 1, 1, 0],
                [0, 0, 0, 0, 0, 0, 0]], dtype=torch.int32)
    """
    height, width = image_size
    masks = torch.zeros(len(boxes), height, width, dtype=torch.bool, device=heatmaps.device)
    for mask, heatmap, box in zip(masks, heatmaps, boxes.tolist(), strict=True):
        x1, y1, x2, y2 = box
        # The pixels whose centres lie in the box.
        left, right = max(0, math.ceil(x1 - 0.5)), min(width, math.ceil(x2 - 0.5))
        top, bottom = max(0, math.ceil(y1 - 0.5)), min(height, math.ceil(y2 - 0.5))
        if left >= right or top >= bottom:
            continue
        # Their places in the box, from -1 to 1.
        x = (2 * torch.arange(left, right, device=mask.device) + 1 - x1 - x2) / (x2 - x1)
        y = (2 * torch.arange(top, bottom, device=mask.device) + 1 - y1 - y2) / (y2 - y1)
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None].to(heatmap)
        there = F.grid_sample(heatmap[None, None], grid, padding_mode="border", align_corners=False)
        mask[top:bottom, left:right] = there[0, 0] >= threshold
    return masks
