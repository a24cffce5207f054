"""Where a recipe's model is trained and evaluated, and in which precision."""

from __future__ import annotations

import torch


def device_named(name: str) -> str:
    """``name``; for ``"auto"`` the GPU where there is one."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def precision_on(name: str) -> str:
    """bfloat16 where the device multiplies it, 1.2 to 1.8 times as fast; else float32."""
    if device_named(name) == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"
