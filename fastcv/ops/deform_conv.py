"""Deformable convolution: every tap reads where an offset says."""

from __future__ import annotations

from typing import Any

import torch
import torch.fx
from torch import Tensor


@torch.fx.wrap
def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = (1, 1),
    padding: int | tuple[int, int] = (0, 0),
    dilation: int | tuple[int, int] = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    """Deformable convolution, version 1 and, with a mask, version 2.

    Args:
        input: ``[N, C, H, W]`` features, float64, float32, float16 or bfloat16; NCHW and
            channels_last are both read as they lie.
        offset: ``[N, 2 * D * KH * KW, H', W']`` in pixels, ``(dy, dx)`` for each tap, row by row,
            of each of ``D`` groups of ``C / D`` channels.
        weight: ``[O, C / G, KH, KW]``, for ``G`` groups as in ``conv2d``.
        bias: ``[O]``, or none.
        stride: pixels of ``input`` from one output pixel to the next, as ``(height, width)`` or one
            number for both.
        padding: pixels of zeros around ``input``, likewise.
        dilation: pixels of ``input`` from one tap to the next, likewise.
        mask: ``[N, D * KH * KW, H', W']``, what each sample is multiplied with; none: 1.

    Returns:
        ``[N, O, H', W']`` in the dtype and memory format of ``input``. Samples between pixels are
        bilinear; outside of the image they are 0, and so they are where an offset is NaN or
        infinite. Differentiable once, with respect to all five tensors. On the CPU always
        deterministic; on CUDA the gradient of ``input`` is so under
        ``torch.use_deterministic_algorithms``. Under autocast it runs in the autocast dtype.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or the kernel is larger than the padded
            input.
        ValueError: ``stride``, ``padding`` or ``dilation`` is no pair.

    Source: Dai et al., "Deformable Convolutional Networks" (2017); the mask: Zhu et al.,
        "Deformable ConvNets v2" (2018), section 3.2.

    Example:
        >>> import torch, fastcv
        >>> image = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> offset = torch.zeros(1, 2, 4, 4)
        >>> offset[:, 1] = 0.5  # half a pixel to the right; beyond the last column there are zeros
        >>> fastcv.ops.deform_conv2d(image, offset, torch.ones(1, 1, 1, 1))
        tensor([[[[ 0.5000,  1.5000,  2.5000,  1.5000],
                  [ 4.5000,  5.5000,  6.5000,  3.5000],
                  [ 8.5000,  9.5000, 10.5000,  5.5000],
                  [12.5000, 13.5000, 14.5000,  7.5000]]]])
    """
    return torch.ops.fastcv.deform_conv2d(
        input,
        offset,
        weight,
        bias,
        pair("stride", stride),
        pair("padding", padding),
        pair("dilation", dilation),
        mask,
    )


def pair(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """``(height, width)`` from that or from one number for both."""
    if isinstance(value, int):
        return value, value
    if len(value) != 2:
        raise ValueError(f"deform_conv2d: {name} must be an int or (height, width), got {value}")
    return value[0], value[1]


@torch.library.register_fake("fastcv::deform_conv2d")
def _(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    mask: Tensor | None,
) -> Tensor:
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(
            input.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True
        )
    ]
    return torch.empty(
        (input.shape[0], weight.shape[0], *size),
        dtype=input.dtype,
        device=input.device,
        memory_format=torch._prims_common.suggest_memory_format(input),
    )


@torch.library.register_fake("fastcv::_deform_conv2d_backward")
def _(
    grad: Tensor,
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    of_input: bool,
    of_offset: bool,
    of_weight: bool,
) -> tuple[Tensor, ...]:
    none = input.new_empty(0)
    memory_format = torch._prims_common.suggest_memory_format(input)
    return (
        torch.empty_like(input, memory_format=memory_format) if of_input else input.new_empty(0),
        offset.new_empty(offset.shape) if of_offset else input.new_empty(0),
        weight.new_empty(weight.shape) if of_weight else input.new_empty(0),
        mask.new_empty(mask.shape) if of_offset and mask is not None else none,
    )


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, offset, weight, _, *geometry, mask = inputs
    ctx.save_for_backward(input, offset, weight, mask)
    ctx.geometry = geometry


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    input, offset, weight, mask = ctx.saved_tensors
    of_input, of_offset, of_weight, of_bias, *_, of_mask = ctx.needs_input_grad
    of_position = of_offset or of_mask
    grads: tuple[Tensor, ...] = torch.ops.fastcv._deform_conv2d_backward(
        grad, input, offset, weight, mask, *ctx.geometry, of_input, of_position, of_weight
    )
    return (
        grads[0] if of_input else None,
        grads[1] if of_offset else None,
        grads[2] if of_weight else None,
        grad.sum((0, 2, 3)) if of_bias else None,
        None,
        None,
        None,
        grads[3] if of_mask else None,
    )


def _refuse(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "deform_conv2d: the gradient of its gradient is not implemented; call backward without "
        "create_graph"
    )


torch.library.register_autograd("fastcv::deform_conv2d", _differentiate, setup_context=_remember)
torch.library.register_autograd("fastcv::_deform_conv2d_backward", _refuse)
