"""Warping: features of one frame brought to where another frame has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def flow_warp(
    input: Tensor, flow: Tensor, padding: str = "zeros", align_corners: bool = True
) -> Tensor:
    """Reads ``input`` where a flow points, bilinear between pixels.

    The flow is backward: it says of each pixel of the new frame where in the old one it was.
    ``output[b, c, y, x]`` is ``input[b, c]`` at ``(y + flow[b, 1, y, x], x + flow[b, 0, y, x])``. A
    flow of zeros is a copy, bit for bit.

    Args:
        input: ``[B, C, H, W]``, float64, float32, float16 or bfloat16; NCHW and channels_last are
            both read as they lie.
        flow: ``[B, 2, H', W']``, ``(x, y)`` in pixels of ``input``, of any of these dtypes: x grows
            to the right, y downwards.
        padding: what lies outside of ``input``: ``"zeros"``, or ``"border"``, its nearest pixel.
        align_corners: where a pixel lies before it moves, if the flow is of another size than
            ``input``, as for ``torch.nn.functional.interpolate``; of one size it changes nothing.

    Returns:
        ``[B, C, H', W']`` in the dtype and memory format of ``input``; 0 where the flow is NaN.
        Differentiable once, with respect to both. The gradient of ``flow`` is deterministic; that
        of ``input`` is so on the CPU, and on CUDA under ``torch.use_deterministic_algorithms``.
        Under autocast it runs in the dtype of ``input``.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or another padding.

    Source: Zhu et al., "Deep Feature Flow for Video Recognition" (2017), equations 2 and 3.

    Example:
        >>> import torch, fastcv
        >>> frame = torch.arange(8.0).reshape(1, 1, 2, 4)
        >>> flow = torch.zeros(1, 2, 2, 4)
        >>> flow[:, 0] = 1.5  # what is here was 1.5 pixels further right
        >>> fastcv.ops.flow_warp(frame, flow)
        tensor([[[[1.5000, 2.5000, 1.5000, 0.0000],
                  [5.5000, 6.5000, 3.5000, 0.0000]]]])
        >>> fastcv.ops.flow_warp(frame, flow, "border")
        tensor([[[[1.5000, 2.5000, 3.0000, 3.0000],
                  [5.5000, 6.5000, 7.0000, 7.0000]]]])
    """
    return torch.ops.fastcv.flow_warp(input, flow, padding, align_corners)


@torch.library.register_fake("fastcv::flow_warp")
def _(input: Tensor, flow: Tensor, padding: str, align_corners: bool) -> Tensor:
    return torch.empty(
        (*input.shape[:2], *flow.shape[2:]),
        dtype=input.dtype,
        device=input.device,
        memory_format=torch._prims_common.suggest_memory_format(input),
    )


@torch.library.register_fake("fastcv::_flow_warp_backward")
def _(
    grad: Tensor,
    input: Tensor,
    flow: Tensor,
    padding: str,
    align_corners: bool,
    of_input: bool,
    of_flow: bool,
) -> tuple[Tensor, Tensor]:
    memory_format = torch._prims_common.suggest_memory_format(input)
    return (
        torch.empty_like(input, memory_format=memory_format) if of_input else input.new_empty(0),
        flow.new_empty(flow.shape) if of_flow else flow.new_empty(0),
    )


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, flow, *ctx.options = inputs
    ctx.save_for_backward(input, flow)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    of_input, of_flow, *_ = ctx.needs_input_grad
    by_input, by_flow = torch.ops.fastcv._flow_warp_backward(
        grad, *ctx.saved_tensors, *ctx.options, of_input, of_flow
    )
    return by_input if of_input else None, by_flow if of_flow else None, None, None


def _refuse(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "flow_warp: the gradient of its gradient is not implemented; call backward without "
        "create_graph"
    )


torch.library.register_autograd("fastcv::flow_warp", _differentiate, setup_context=_remember)
torch.library.register_autograd("fastcv::_flow_warp_backward", _refuse)
