"""Instance masks, from the small ones that a network predicts to a picture's pixels."""

from __future__ import annotations

from typing import Any, Literal, overload

import torch
from torch import Tensor

from fastcv.ops._rle import run_lengths


@overload
def paste_masks(
    masks: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    threshold: float = 0.5,
    out: Literal["bool"] = "bool",
) -> Tensor: ...
@overload
def paste_masks(
    masks: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    threshold: float = 0.5,
    *,
    out: Literal["rle"],
) -> list[dict[str, Any]]: ...
def paste_masks(
    masks: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    threshold: float = 0.5,
    out: str = "bool",
) -> Tensor | list[dict[str, Any]]:
    """Stretch each instance's mask over its box in the picture, and cut it at a threshold.

    This is torchvision's ``paste_masks_in_image(masks, boxes, size) > threshold``: a mask gets a
    border of zeros, 1 wide, and its box grows with it; its corners are cut to integers; in between
    the mask is interpolated bilinearly.

    Args:
        masks: ``[N, M, M]`` or ``[N, 1, M, M]`` probabilities, float64, float32, float16 or
            bfloat16.
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels, floating point; may reach beyond the
            picture.
        size: the picture's ``(height, width)``.
        threshold: pixels above it belong to the instance.
        out: ``"bool"``, or ``"rle"`` for COCO's run lengths. Those are made without masks of the
            picture's size: memory does not grow with the picture.

    Returns:
        ``[N, height, width]`` bool, False outside the grown box. For ``"rle"`` a list with, for
        each mask, ``{"size": [height, width], "counts": bytes}``, just as
        ``pycocotools.mask.encode`` makes of it. A box with a NaN or infinite coordinate has no
        pixels. Neither has a gradient.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, ``size`` is below 1 or of 2^31 pixels or
            more, or ``threshold`` is NaN.
        ValueError: another ``out``, or ``size`` has not two numbers.

    On CUDA ``"rle"`` copies masks and boxes to the CPU and encodes there.

    Source: He et al., "Mask R-CNN", 2017, section 3.1.

    Example:
        >>> import torch, fastcv
        >>> mask, box = torch.ones(1, 2, 2), torch.tensor([[1.0, 1.0, 5.0, 3.0]])
        >>> fastcv.ops.paste_masks(mask, box, (5, 8)).int()
        tensor([[[0, 0, 0, 0, 0, 0, 0, 0],
                 [0, 0, 1, 1, 1, 0, 0, 0],
                 [0, 1, 1, 1, 1, 1, 0, 0],
                 [0, 0, 1, 1, 1, 0, 0, 0],
                 [0, 0, 0, 0, 0, 0, 0, 0]]], dtype=torch.int32)
        >>> fastcv.ops.paste_masks(mask, box, (5, 8), out="rle")
        [{'size': [5, 8], 'counts': b'7132O0001N9'}]
    """
    if out not in ("bool", "rle"):
        raise ValueError(f"paste_masks: out must be 'bool' or 'rle', got {out!r}")
    if masks.dim() == 4 and masks.shape[1] == 1:
        masks = masks[:, 0]
    if len(size) != 2:
        raise ValueError(f"paste_masks: size must be (height, width), got {tuple(size)}")
    height, width = size
    if out == "bool":
        return torch.ops.fastcv.paste_masks(masks, boxes, height, width, threshold)
    counts, ends = torch.ops.fastcv._paste_masks_rle(masks, boxes, height, width, threshold)
    return run_lengths(counts, ends, height, width)


def _check(masks: Tensor, boxes: Tensor) -> None:
    torch._check(
        masks.dim() == 3 and masks.shape[1] == masks.shape[2],
        lambda: (
            "paste_masks: masks must have shape [N, M, M] or [N, 1, M, M], M at least 1, got "
            f"{list(masks.shape)}"
        ),
    )
    torch._check(
        boxes.dim() == 2 and boxes.shape[1] == 4,
        lambda: f"paste_masks: boxes must have shape [N, 4], got {list(boxes.shape)}",
    )
    torch._check(
        boxes.shape[0] == masks.shape[0],
        lambda: (
            f"paste_masks: boxes must be as many as masks, {masks.shape[0]}, got {boxes.shape[0]}"
        ),
    )


@torch.library.register_fake("fastcv::paste_masks")
def _(masks: Tensor, boxes: Tensor, height: int, width: int, threshold: float) -> Tensor:
    _check(masks, boxes)
    return masks.new_empty(masks.shape[0], height, width, dtype=torch.bool)


@torch.library.register_fake("fastcv::_paste_masks_rle")
def _(
    masks: Tensor, boxes: Tensor, height: int, width: int, threshold: float
) -> tuple[Tensor, Tensor]:
    _check(masks, boxes)
    size = torch.library.get_ctx().new_dynamic_size()
    counts = torch.empty(size, dtype=torch.uint8, device="cpu")
    return counts, torch.empty(masks.shape[0], dtype=torch.int64, device="cpu")
