"""What systems of two kinds of pictures ask of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from fastcv.nn.losses._tensors import check_tensor


def check_pictures(name: str, value: Any, shape: Sequence[int]) -> None:
    """Refuses what is no batch of pictures of that shape.

    Args:
        name: of the argument, for the sentence.
        value: what was given.
        shape: ``[B, C, H, W]``.

    Raises:
        TypeError: it is no tensor.
        ValueError: another shape, or no floating-point numbers.
    """
    check_tensor(name, value)
    if value.shape != torch.Size(shape) or not value.is_floating_point():
        raise ValueError(
            f"{name} must be pictures {list(shape)} in [0, 1], got {list(value.shape)} "
            f"{value.dtype}"
        )
