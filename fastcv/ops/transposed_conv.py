"""Transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastcv.ops._roi import empty_in_format_of


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:
    """Transposed convolution, as :func:`torch.nn.functional.conv_transpose2d`.

    Every pixel of the input lays its kernel, scaled, onto the output at steps of ``stride``; where
    kernels overlap they add up. Ours are the kernels that do not overlap (as large as the stride,
    U-Net's) and those of single channels (bilinear upsampling, FCN's); any other is PyTorch's.

    Args:
        input: ``[N, C, H, W]`` or ``[C, H, W]``, float64, float32, float16 or bfloat16.
        weight: ``[C, D, kh, kw]``, the dtype of ``input``; the output has ``groups * D`` channels.
        bias: ``[groups * D]``.
        stride: pixels of output from one kernel to the next; a number or (rows, columns), as are
            the next three.
        padding: pixels cut off on each side of the output.
        output_padding: pixels added at its bottom and right, below ``stride`` or ``dilation``.
        groups: number of parts that input and output channels come in; each sees its own only.
        dilation: pixels of output from one element of a kernel to the next.

    Returns:
        ``[N, groups * D, H', W']`` with ``H' = (H - 1) * stride - 2 * padding + dilation *
        (kh - 1) + output_padding + 1``, the dtype and memory format of ``input``.

    Raises:
        RuntimeError: shapes, dtypes or devices other than above.

    Source:
        Zeiler et al., "Deconvolutional networks" (2010); Long et al., "Fully convolutional
        networks for semantic segmentation" (2015), section 3.3.

    Example:
        >>> import torch, fastcv
        >>> x = torch.tensor([[[[1.0, 2.0]]]])
        >>> fastcv.ops.conv_transpose2d(x, torch.ones(1, 1, 1, 3), stride=2)
        tensor([[[[1., 1., 3., 2., 2.]]]])
    """
    if input.dim() == 3:
        return conv_transpose2d(
            input[None], weight, bias, stride, padding, output_padding, groups, dilation
        ).squeeze(0)
    return torch.ops.fastcv.conv_transpose2d(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@torch.library.register_fake("fastcv::conv_transpose2d")
def _(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    output_padding: Sequence[int] = (0, 0),
    groups: int = 1,
    dilation: Sequence[int] = (1, 1),
) -> Tensor:
    size = [
        (input.shape[2 + i] - 1) * stride[i]
        - 2 * padding[i]
        + dilation[i] * (weight.shape[2 + i] - 1)
        + output_padding[i]
        + 1
        for i in range(2)
    ]
    return empty_in_format_of(input, (input.shape[0], weight.shape[1] * groups, *size))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, weight, bias, *ctx.options = inputs
    ctx.save_for_backward(input, weight)
    ctx.bias_shape = None if bias is None else list(bias.shape)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    input, weight = ctx.saved_tensors
    stride, padding, output_padding, groups, dilation = ctx.options
    if 0 in input.shape or 0 in weight.shape:
        grad_bias = None if ctx.bias_shape is None else grad.sum((0, 2, 3))
        return (torch.zeros_like(input), torch.zeros_like(weight), grad_bias, *[None] * 5)

    def gradients(grad: Tensor, input: Tensor, output_mask: list[bool]) -> tuple[Tensor, ...]:
        return torch.ops.aten.convolution_backward(
            grad, input, weight, ctx.bias_shape, stride, padding, dilation, True, output_padding,
            groups, output_mask,
        )  # fmt: skip

    of_input, of_weight, of_bias = ctx.needs_input_grad[:3]
    if of_weight and grad.device.type == "cpu":  # oneDNN makes it half as fast in channels_last
        grad_weight = gradients(grad.contiguous(), input.contiguous(), [False, True, False])[1]
        grad_input, _, grad_bias = gradients(grad, input, [of_input, False, of_bias])
    else:
        output_mask = [of_input, of_weight, of_bias]
        grad_input, grad_weight, grad_bias = gradients(grad, input, output_mask)
    return (grad_input, grad_weight, grad_bias, *[None] * 5)


torch.library.register_autograd("fastcv::conv_transpose2d", _differentiate, setup_context=_remember)
