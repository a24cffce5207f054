"""Instance masks as sums of prototypes, from a network's outputs to a picture's pixels."""

from __future__ import annotations

from typing import Any, Literal, overload

import torch
from torch import Tensor

from fastcv.ops._rle import run_lengths


@overload
def proto_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    threshold: float = 0.5,
    out: Literal["bool"] = "bool",
) -> Tensor: ...
@overload
def proto_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    threshold: float = 0.5,
    *,
    out: Literal["rle"],
) -> list[dict[str, Any]]: ...
def proto_masks(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    size: tuple[int, int],
    threshold: float = 0.5,
    out: str = "bool",
) -> Tensor | list[dict[str, Any]]:
    """Add up the prototypes of a picture for each instance, cut at its box and at a threshold.

    A sample of an instance has the probability ``sigmoid(sum_k coefficients[k] * prototypes[k])``
    in its box, grown by one sample, and 0 elsewhere. Between samples it is interpolated
    bilinearly, as by ``torch.nn.functional.interpolate`` without ``align_corners``.

    Args:
        prototypes: ``[K, h, w]`` of one picture; float64, float32, float16 or bfloat16.
        coefficients: ``[N, K]``, the prototypes' dtype: how much an instance takes of each.
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels of the picture, floating point; may
            reach beyond it.
        size: the picture's ``(height, width)``; the prototypes cover all of it.
        threshold: pixels above it belong to the instance.
        out: ``"bool"``, or ``"rle"`` for COCO's run lengths. Those are made without masks of the
            picture's size: memory does not grow with the picture.

    Returns:
        ``[N, height, width]`` bool, False outside the grown box. For ``"rle"`` a list with, for
        each instance, ``{"size": [height, width], "counts": bytes}``, just as
        ``pycocotools.mask.encode`` makes of it. A box with a NaN coordinate has no pixels. Neither
        has a gradient.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, ``size`` is below 1 or of 2^31 pixels or
            more, or ``threshold`` is NaN.
        ValueError: another ``out``, or ``size`` has not two numbers.

    On CUDA ``"rle"`` copies the inputs to the CPU and encodes there.

    Source: Bolya et al., "YOLACT: Real-time Instance Segmentation", 2019, section 3.2.

    Example:
        >>> import torch, fastcv
        >>> left = torch.tensor([[4.0, 0.0], [4.0, 0.0]])
        >>> prototypes = torch.stack([left, left.flip(1)])
        >>> coefficients = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
        >>> boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0]] * 2)
        >>> fastcv.ops.proto_masks(prototypes, coefficients, boxes, (2, 4)).int()
        tensor([[[1, 1, 0, 0],
                 [1, 1, 0, 0]],
        <BLANKLINE>
                [[0, 0, 1, 1],
                 [0, 0, 1, 1]]], dtype=torch.int32)
    """
    if out not in ("bool", "rle"):
        raise ValueError(f"proto_masks: out must be 'bool' or 'rle', got {out!r}")
    if len(size) != 2:
        raise ValueError(f"proto_masks: size must be (height, width), got {tuple(size)}")
    height, width = size
    if out == "bool":
        return torch.ops.fastcv.proto_masks(
            prototypes, coefficients, boxes, height, width, threshold
        )
    counts, ends = torch.ops.fastcv._proto_masks_rle(
        prototypes, coefficients, boxes, height, width, threshold
    )
    return run_lengths(counts, ends, height, width)


def _check(prototypes: Tensor, coefficients: Tensor, boxes: Tensor) -> None:
    torch._check(
        prototypes.dim() == 3,
        lambda: (
            "proto_masks: prototypes must have shape [K, h, w], each at least 1, got "
            f"{list(prototypes.shape)}"
        ),
    )
    torch._check(
        coefficients.dim() == 2 and coefficients.shape[1] == prototypes.shape[0],
        lambda: (
            "proto_masks: coefficients must have shape [N, K] with K as in prototypes, got "
            f"{list(coefficients.shape)}"
        ),
    )
    torch._check(
        boxes.dim() == 2 and boxes.shape[1] == 4,
        lambda: f"proto_masks: boxes must have shape [N, 4], got {list(boxes.shape)}",
    )
    torch._check(
        boxes.shape[0] == coefficients.shape[0],
        lambda: (
            "proto_masks: boxes must be as many as coefficients, "
            f"{coefficients.shape[0]}, got {boxes.shape[0]}"
        ),
    )


@torch.library.register_fake("fastcv::proto_masks")
def _(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    height: int,
    width: int,
    threshold: float,
) -> Tensor:
    _check(prototypes, coefficients, boxes)
    return prototypes.new_empty(boxes.shape[0], height, width, dtype=torch.bool)


@torch.library.register_fake("fastcv::_proto_masks_rle")
def _(
    prototypes: Tensor,
    coefficients: Tensor,
    boxes: Tensor,
    height: int,
    width: int,
    threshold: float,
) -> tuple[Tensor, Tensor]:
    _check(prototypes, coefficients, boxes)
    size = torch.library.get_ctx().new_dynamic_size()
    counts = torch.empty(size, dtype=torch.uint8, device="cpu")
    return counts, torch.empty(boxes.shape[0], dtype=torch.int64, device="cpu")
