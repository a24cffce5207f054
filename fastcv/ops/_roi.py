"""What the RoI ops share: their arguments, and the gradient of those that are linear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastcv.ops._script import BroadcastingList2


class WrongBoxes(ValueError, RuntimeError, AssertionError):
    """Boxes of a shape that no RoI op takes; torchvision raises an AssertionError for them."""


def as_rois(op: str, boxes: Tensor | list[Tensor], sides: int) -> Tensor:
    """``boxes`` as ``[K, 1 + sides]``, the image first, from that or from a tensor each."""
    if isinstance(boxes, Tensor):
        if boxes.dim() != 2 or boxes.size(1) != 1 + sides:
            raise WrongBoxes(
                f"{op}: rois must have shape [K, {1 + sides}], got {list(boxes.shape)}"
            )
        return boxes
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        _check_list(op, boxes, sides)
    if len(boxes) == 0:
        raise ValueError(f"{op}: boxes must hold a tensor for each image, got an empty list")
    for i, b in enumerate(boxes):
        if b.dim() != 2 or b.size(1) != sides:
            raise WrongBoxes(f"{op}: boxes[{i}] must have shape [L, {sides}], got {list(b.shape)}")
    return torch.cat(
        [torch.cat([b.new_full((b.shape[0], 1), i), b], dim=1) for i, b in enumerate(boxes)]
    )


def _check_list(op: str, boxes: Any, sides: int) -> None:
    if not isinstance(boxes, (list, tuple)) or not all(isinstance(b, Tensor) for b in boxes):
        raise TypeError(
            f"{op}: boxes must be a tensor [K, {1 + sides}] or a list of tensors [L, {sides}], "
            f"got {type(boxes).__name__}"
        )


def as_pair(op: str, output_size: BroadcastingList2[int]) -> tuple[int, int]:
    """``(height, width)`` from that or from one number for both."""
    if isinstance(output_size, (list, tuple)):
        if len(output_size) != 2:
            raise ValueError(
                f"{op}: output_size must be an int or (height, width), got {output_size}"
            )
        return output_size[0], output_size[1]
    return output_size, output_size


def empty_in_format_of(x: Tensor, shape: Sequence[int | torch.SymInt]) -> Tensor:
    """A fake result: ``shape`` in the memory format of ``x``."""
    return torch.empty(
        shape,
        dtype=x.dtype,
        device=x.device,
        memory_format=torch._prims_common.suggest_memory_format(x),
    )


def register_linear(name: str) -> None:
    """Gradients and fake kernels of ``name(input, rois, spatial_scale, height, width, *options)``.

    It is linear in ``input`` and ``_name_backward`` is its transpose: each is the other's backward.
    """
    forward = getattr(torch.ops.fastcv, name).default
    backward = getattr(torch.ops.fastcv, f"_{name}_backward").default

    @torch.library.register_fake(f"fastcv::{name}")
    def _(x: Tensor, rois: Tensor, scale: float, height: int, width: int, *options: Any) -> Tensor:
        channels = x.shape[1] // (height * width) if name.startswith("ps_") else x.shape[1]
        return empty_in_format_of(x, (rois.shape[0], channels, height, width))

    @torch.library.register_fake(f"fastcv::_{name}_backward")
    def _(
        grad: Tensor, rois: Tensor, scale: float, h: int, w: int, *sizes_and_options: Any
    ) -> Tensor:
        return empty_in_format_of(grad, sizes_and_options[:4])

    def remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, rois, scale, height, width, *options = inputs
        ctx.save_for_backward(rois)
        ctx.arguments = (scale, height, width, *x.shape, *options)

    def differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (rois,) = ctx.saved_tensors
        grad_input = backward(grad, rois, *ctx.arguments)
        return (grad_input, *[None] * (len(ctx.arguments) - 3))

    def remember_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, rois, scale, height, width, _, _, _, _, *options = inputs
        ctx.save_for_backward(rois)
        ctx.arguments = (scale, height, width, *options)

    def differentiate_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (rois,) = ctx.saved_tensors
        grad_grad = forward(grad, rois, *ctx.arguments)
        return (grad_grad, *[None] * (len(ctx.arguments) + 5))

    torch.library.register_autograd(f"fastcv::{name}", differentiate, setup_context=remember)
    torch.library.register_autograd(
        f"fastcv::_{name}_backward", differentiate_backward, setup_context=remember_backward
    )


class RoIModule(torch.nn.Module):
    """A RoI op with its options, which are its attributes; they are shown in its ``repr``."""

    def extra_repr(self) -> str:
        options = [name for name in vars(self) if name != "training" and name[0] != "_"]
        return ", ".join(f"{name}={getattr(self, name)}" for name in options)
