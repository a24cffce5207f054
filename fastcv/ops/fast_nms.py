"""Fast NMS: non-maximum suppression of all classes at once."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.ops._nms import run_in_float32_under_autocast, some_indices


def fast_nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5, top_k: int = 200
) -> tuple[Tensor, Tensor]:
    """YOLACT's non-maximum suppression: within a class a box goes if any better one is too near.

    Also if that better box goes itself, which is what ``nms`` does otherwise: no box has to wait
    for another. What is kept is kept by ``nms`` too, and a little less.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)``, the same for every class; float64, float32,
            float16 or bfloat16. IoU is computed in float32 (float64 for float64).
        scores: ``[C, N]`` of each class, the boxes' dtype, or under autocast any. NaN counts as the
            highest score.
        iou_threshold: a box goes if its IoU with a better one is above this.
        top_k: of each class only so many boxes are looked at, those that score best.

    Returns:
        ``(keep, labels)``, both ``[K]`` int64: indices of boxes and the classes they were kept for,
        by falling score; equal scores by class, then by index.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, ``iou_threshold`` is NaN, or ``top_k``
            is below 1.

    On CUDA the call waits for the device once, to learn how many boxes were kept.

    Source: Bolya et al., "YOLACT: Real-time Instance Segmentation", 2019, section 4.1.

    Example:
        >>> import torch, fastcv
        >>> boxes = torch.tensor([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10.0]])
        >>> scores = torch.tensor([[0.9, 0.8, 0.7], [0.1, 0.2, 0.95]])
        >>> fastcv.ops.fast_nms(boxes, scores)  # nms keeps box 2 for class 0, and box 0 for class 1
        (tensor([2, 0]), tensor([1, 0]))
    """
    return torch.ops.fastcv.fast_nms(boxes, scores, iou_threshold, top_k)


@torch.library.register_fake("fastcv::fast_nms")
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, top_k: int) -> tuple[Tensor, Tensor]:
    torch._check(
        boxes.dim() == 2 and boxes.shape[1] == 4,
        lambda: f"fast_nms: boxes must have shape [N, 4], got {list(boxes.shape)}",
    )
    torch._check(
        scores.dim() == 2 and scores.shape[1] == boxes.shape[0],
        lambda: (
            f"fast_nms: scores must have shape [C, N] with N as in boxes, got {list(scores.shape)}"
        ),
    )
    keep = some_indices(boxes)
    return keep, torch.empty_like(keep)


run_in_float32_under_autocast("fast_nms")
