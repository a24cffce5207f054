"""Where a recipe's model is evaluated."""

from __future__ import annotations

import torch


def device_named(name: str) -> str:
    """``name``; for ``"auto"`` the GPU where there is one."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name
