"""Atrous separable convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.ops._roi import empty_in_format_of


def atrous_separable_conv2d(
    input: Tensor,
    depthwise_weight: Tensor,
    pointwise_weight: Tensor,
    depthwise_bias: Tensor | None = None,
    pointwise_bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    activation: str | None = None,
) -> Tensor:
    """Dilated depthwise convolution and pointwise convolution in one, as DeepLab v3+ has them.

    ``conv2d(act(conv2d(input, depthwise_weight, depthwise_bias, stride, padding, dilation,
    groups=C)), pointwise_weight, pointwise_bias)``, but the map in between is never whole in
    memory. A batch norm behind either convolution is folded into its weight and bias.

    Args:
        input: ``[N, C, H, W]``, float64, float32, float16 or bfloat16.
        depthwise_weight: ``[C, 1, kh, kw]``, the dtype of ``input``, as all that follow.
        pointwise_weight: ``[D, C, 1, 1]``.
        depthwise_bias: ``[C]``.
        pointwise_bias: ``[D]``.
        stride: of the depthwise convolution, in pixels; a number or (rows, columns), as are the
            next two.
        padding: zeros about the input, in pixels.
        dilation: pixels of input from one element of the kernel to the next, the *rate*.
        activation: ``"relu"`` for a ReLU between the two convolutions (after ``depthwise_bias``),
            or None. There is none after the pointwise convolution.

    Returns:
        ``[N, D, H', W']`` with ``H' = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1``,
        the dtype and memory format of ``input``.

    Raises:
        RuntimeError: shapes, dtypes or devices other than above; another activation.

    Source:
        Chen et al., "Encoder-decoder with atrous separable convolution for semantic image
        segmentation" (2018), section 3.1.

    Example:
        >>> import torch, fastcv
        >>> x = torch.arange(5.0).reshape(1, 1, 1, 5)
        >>> depthwise = torch.tensor([[[[1.0, 0.0, -1.0]]]])
        >>> fastcv.ops.atrous_separable_conv2d(
        ...     x, depthwise, torch.full((1, 1, 1, 1), 10.0), padding=(0, 2), dilation=2,
        ...     activation="relu")
        tensor([[[[ 0.,  0.,  0., 10., 20.]]]])
    """
    return torch.ops.fastcv.atrous_separable_conv2d(
        input,
        depthwise_weight,
        pointwise_weight,
        depthwise_bias,
        pointwise_bias,
        stride,
        padding,
        dilation,
        activation,
    )


@torch.library.register_fake("fastcv::atrous_separable_conv2d")
def _(
    input: Tensor,
    depthwise_weight: Tensor,
    pointwise_weight: Tensor,
    depthwise_bias: Tensor | None = None,
    pointwise_bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    activation: str | None = None,
) -> Tensor:
    size = [
        (
            input.shape[2 + i]
            + 2 * padding[i]
            - dilation[i] * (depthwise_weight.shape[2 + i] - 1)
            - 1
        )
        // stride[i]
        + 1
        for i in range(2)
    ]
    return empty_in_format_of(input, (input.shape[0], pointwise_weight.shape[0], *size))


_backward = torch.ops.fastcv._atrous_separable_conv2d_backward


@torch.library.register_fake("fastcv::_atrous_separable_conv2d_backward")
def _(
    grad: Tensor, input: Tensor, depthwise: Tensor, pointwise: Tensor, *_: Any
) -> tuple[Tensor, ...]:
    channels = depthwise.shape[:1], pointwise.shape[:1]
    return (
        torch.empty_like(input),
        *(
            torch.empty_like(w, memory_format=torch.contiguous_format)
            for w in (depthwise, pointwise)
        ),
        *(input.new_empty(n) for n in channels),
    )


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:5])
    ctx.options = inputs[5:]


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    tensors = ctx.saved_tensors
    needed = ctx.needs_input_grad[:5]
    if torch.is_grad_enabled():  # to be differentiated again
        gradients = _plain_gradients(grad, tensors, ctx.options)
    else:
        gradients = _backward(grad, *tensors[:4], *ctx.options)
    grads = [g if n else None for g, n in zip(gradients, needed, strict=True)]
    return (*grads, *[None] * 4)


def _plain_gradients(grad: Tensor, tensors: Sequence[Any], options: Sequence[Any]) -> list[Any]:
    """By the formula, whole maps at a time, of operations that have gradients themselves."""
    input, depthwise, pointwise, depthwise_bias, _ = tensors
    stride, padding, dilation, activation = options
    z = F.conv2d(input, depthwise, depthwise_bias, stride, padding, dilation, input.shape[1])
    active = z.relu() if activation else z
    grad_z, grad_pointwise, grad_pointwise_bias = torch.ops.aten.convolution_backward(
        grad, active, pointwise, [pointwise.shape[0]], [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
        [True] * 3,
    )  # fmt: skip
    if activation:
        grad_z = grad_z * (z > 0)
    grad_input, grad_depthwise, grad_depthwise_bias = torch.ops.aten.convolution_backward(
        grad_z, input, depthwise, [input.shape[1]], stride, padding, dilation, False, [0, 0],
        input.shape[1], [True] * 3,
    )  # fmt: skip
    return [grad_input, grad_depthwise, grad_pointwise, grad_depthwise_bias, grad_pointwise_bias]


torch.library.register_autograd(
    "fastcv::atrous_separable_conv2d", _differentiate, setup_context=_remember
)
