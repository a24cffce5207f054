"""Correlation: where the pixels of one frame may have been in another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def correlation(a: Tensor, b: Tensor, radius: int) -> Tensor:
    """How alike each pixel of ``a`` is to the pixels around its place in ``b``: a cost volume.

    ``output[n, (dy + r) * (2r + 1) + dx + r, y, x]`` is the mean over channels of
    ``a[n, c, y, x] * b[n, c, y + dy, x + dx]``, for dy and dx from -r to r. Outside, ``b`` is 0.

    Args:
        a: ``[B, C, H, W]``, float64, float32, float16 or bfloat16: features of one frame.
        b: of the other frame, likewise.
        radius: r, in pixels of the maps, 0 to 32767.

    Returns:
        ``[B, (2r + 1)^2, H, W]`` in the dtype and memory format of ``a``. Differentiable once, with
        respect to both; deterministic. Under autocast it runs in the dtype of ``a``.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or another radius.

    Source: Dosovitskiy et al., "FlowNet: Learning Optical Flow with Convolutional Networks" (2015),
        section 3, with patches of one pixel. The mean is of FlowNet 2.0's layer; the paper has the
        sum.

    Example:
        >>> import torch, fastcv
        >>> a = torch.tensor([[0.0, 1.0, 0.0, 0.0]]).view(1, 1, 1, 4)
        >>> b = torch.tensor([[0.0, 0.0, 3.0, 0.0]]).view(1, 1, 1, 4)  # one pixel to the right
        >>> costs = fastcv.ops.correlation(a, b, radius=1)
        >>> costs.shape, costs[0, :, 0, 1].view(3, 3)  # rows are dy, columns dx
        (torch.Size([1, 9, 1, 4]), tensor([[0., 0., 0.],
                [0., 0., 3.],
                [0., 0., 0.]]))
    """
    return torch.ops.fastcv.correlation(a, b, radius)


@torch.library.register_fake("fastcv::correlation")
def _(a: Tensor, b: Tensor, radius: int) -> Tensor:
    batch, _, height, width = a.shape
    return torch.empty(
        (batch, (2 * radius + 1) ** 2, height, width),
        dtype=a.dtype,
        device=a.device,
        memory_format=torch._prims_common.suggest_memory_format(a),
    )


@torch.library.register_fake("fastcv::_correlation_backward")
def _(
    grad: Tensor, a: Tensor, b: Tensor, radius: int, of_a: bool, of_b: bool
) -> tuple[Tensor, Tensor]:
    def like(x: Tensor) -> Tensor:
        return torch.empty_like(x, memory_format=torch._prims_common.suggest_memory_format(x))

    return like(a) if of_a else a.new_empty(0), like(b) if of_b else b.new_empty(0)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    a, b, ctx.radius = inputs
    ctx.save_for_backward(a, b)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    of_a, of_b, _ = ctx.needs_input_grad
    by_a, by_b = torch.ops.fastcv._correlation_backward(
        grad, *ctx.saved_tensors, ctx.radius, of_a, of_b
    )
    return by_a if of_a else None, by_b if of_b else None, None


def _refuse(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "correlation: the gradient of its gradient is not implemented; call backward without "
        "create_graph"
    )


torch.library.register_autograd("fastcv::correlation", _differentiate, setup_context=_remember)
torch.library.register_autograd("fastcv::_correlation_backward", _refuse)
