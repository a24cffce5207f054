"""What schedules are made of: an optimiser, a cycle of its learning rate, a precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR


def adamw(groups: Any, lr: float = 1e-3) -> Optimizer:
    """AdamW as all recipes and training on one's own pictures have it.

    Args:
        groups: parameters, or groups of them with an ``lr`` of their own.
        lr: of those that have none.
    """
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0.05)


def one_cycle(rise: float) -> Callable[[Optimizer, int], LRScheduler]:
    """``fit``'s ``scheduler``: up to each group's learning rate, then down to nothing.

    Args:
        rise: the share of the steps that go up; in a run of a few steps, two do.
    """

    def make(optimizer: Optimizer, steps: int) -> LRScheduler:
        max_lr = [group["lr"] for group in optimizer.param_groups]
        # torch divides by one less than the steps up, and by the steps down.
        share = max(rise, 2 / steps) if steps > 2 else rise
        return OneCycleLR(optimizer, max_lr, steps, pct_start=share)

    return make


def fastest_precision(device: str) -> str:
    """bfloat16 where the device multiplies it, 1.2 to 1.8 times as fast; else float32."""
    if device == "cpu":
        native = torch.cpu._is_avx512_bf16_supported()
    else:
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if native else "32-true"
