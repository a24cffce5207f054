"""Where half precision is not enough."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 where it is that: boxes and losses lose too much below.

    Example:
        >>> import torch
        >>> from fastcv.nn.precision import full_precision
        >>> full_precision(torch.ones(2).half()).dtype, full_precision(torch.ones(2).double()).dtype
        (torch.float32, torch.float64)
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
