"""What the NMS family shares: the shape contract without data, group ids, autocast."""

import torch
from torch import Tensor


def as_group_ids(idxs: Tensor) -> Tensor:
    """Integers that are equal where the numbers ``idxs`` are: the bits of those that are floats."""
    if not idxs.is_floating_point():
        return idxs
    return (idxs.double() + 0.0).view(torch.int64)  # -0 + 0 is 0; all NaNs are one group


def as_boxes(boxes: Tensor) -> Tensor:
    """``boxes``; but ``torch.tensor([])``, which is nothing at all, as no boxes."""
    return boxes.reshape(0, 4) if boxes.dim() == 1 and boxes.shape[0] == 0 else boxes


def run_in_float32_under_autocast(*ops: str) -> None:
    """Boxes and scores may come from parts of a model that run in different dtypes."""
    for op in ops:
        for device in ("cpu", "cuda"):
            torch.library.register_autocast(f"fastcv::{op}", device, torch.float32)


def check_scored_boxes(op: str, boxes: Tensor, scores: Tensor, columns: int) -> None:
    torch._check(
        boxes.dim() == 2 and boxes.shape[1] == columns,
        lambda: f"{op}: boxes must have shape [N, {columns}], got {list(boxes.shape)}",
    )
    torch._check(
        scores.dim() == 1 and scores.shape[0] == boxes.shape[0],
        lambda: f"{op}: scores must have shape [N] with N as in boxes, got {list(scores.shape)}",
    )
    torch._check(
        scores.dtype == boxes.dtype,
        lambda: f"{op}: scores must have the dtype of boxes, {boxes.dtype}, got {scores.dtype}",
    )


def check_class_indices(op: str, boxes: Tensor, idxs: Tensor) -> None:
    torch._check(
        idxs.dim() == 1 and idxs.shape[0] == boxes.shape[0],
        lambda: f"{op}: idxs must have shape [N] with N as in boxes, got {list(idxs.shape)}",
    )
    torch._check(
        not idxs.is_floating_point() and not idxs.is_complex(),
        lambda: f"{op}: idxs must have an integer dtype, got {idxs.dtype}",
    )


def some_indices(boxes: Tensor) -> Tensor:
    """Indices of boxes; how many, only the data decides."""
    size = torch.library.get_ctx().new_dynamic_size()
    return boxes.new_empty(size, dtype=torch.int64)
