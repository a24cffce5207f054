"""Corner pooling: what a corner of a box sees of its object, brought to the corner."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def corner_pool(input: Tensor, direction: str) -> Tensor:
    """The largest value on the way from each pixel to the border.

    A box's corner lies outside its object: a top-left corner has to look to the right for the
    object's upper edge, and down for its left one. CornerNet adds ``"top"`` and ``"left"`` pools
    for it, and ``"bottom"`` and ``"right"`` ones for the lower right corner.

    Args:
        input: ``[B, C, H, W]``, float64, float32, float16 or bfloat16; NCHW and channels_last are
            both read as they lie.
        direction: the corner's side: ``"top"`` looks down, ``"bottom"`` up, ``"left"`` to the
            right, ``"right"`` to the left.

    Returns:
        ``[B, C, H, W]`` in the dtype and memory format of ``input``. NaN counts as the largest. The
        gradient goes to the pixel that the value came from, of equal ones to the nearest.

    Raises:
        RuntimeError: ``input`` has not 4 dimensions or is not floating point, or another direction.

    Source: Law and Deng, "CornerNet: Detecting Objects as Paired Keypoints" (2018), section 3.4.

    Example:
        >>> import torch, fastcv
        >>> x = torch.tensor([[[[2.0, 1.0, 3.0, 0.0, 2.0]]]])
        >>> fastcv.ops.corner_pool(x, "left")
        tensor([[[[3., 3., 3., 2., 2.]]]])
        >>> fastcv.ops.corner_pool(x, "right")
        tensor([[[[2., 2., 3., 3., 3.]]]])
    """
    return torch.ops.fastcv.corner_pool(input, direction)


@torch.library.register_fake("fastcv::corner_pool")
def _(input: Tensor, direction: str) -> Tensor:
    return torch.empty_like(input, memory_format=torch._prims_common.suggest_memory_format(input))


@torch.library.register_fake("fastcv::_corner_pool_backward")
def _(grad: Tensor, input: Tensor, output: Tensor, direction: str) -> Tensor:
    return torch.empty_like(input, memory_format=torch._prims_common.suggest_memory_format(input))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, ctx.direction = inputs
    ctx.save_for_backward(input, output)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
    input, output = ctx.saved_tensors
    return torch.ops.fastcv._corner_pool_backward(grad, input, output, ctx.direction), None


def _refuse(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "corner_pool: the gradient of its gradient is not implemented; call backward without "
        "create_graph"
    )


torch.library.register_autograd("fastcv::corner_pool", _differentiate, setup_context=_remember)
torch.library.register_autograd("fastcv::_corner_pool_backward", _refuse)
