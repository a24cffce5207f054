"""The template op. See csrc/README.md."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def identity(x: Tensor) -> Tensor:
    """Copy a tensor.

    Args:
        x: ``[*]``, any shape and strides, float64, float32, float16 or bfloat16.

    Returns:
        A fresh tensor like ``x`` (shape, dtype, device, memory format) with the same values.

    Raises:
        RuntimeError: ``x`` is not floating point.

    Example:
        >>> import torch, fastcv
        >>> fastcv.ops.identity(torch.tensor([1.0, 2.0]))
        tensor([1., 2.])
    """
    return torch.ops.fastcv.identity(x)


@torch.library.register_fake("fastcv::identity")
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


def _differentiate(ctx: Any, grad: Tensor) -> Tensor:
    return torch.ops.fastcv.identity(grad)  # whose gradient is registered here as well


torch.library.register_autograd("fastcv::identity", _differentiate)
