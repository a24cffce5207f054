"""What schedules are made of: an optimiser, a cycle of its learning rate, a precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR


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


def constant_then_linear(constant: float = 0.5) -> Callable[[Optimizer, int], LRScheduler]:
    """``fit``'s ``scheduler``: each group's learning rate for a while, then on a line to nothing.

    As pix2pix and CycleGAN are trained: 100 epochs, then 100 to 0.

    Args:
        constant: the share of the steps before it falls, from 0 to 1.

    Raises:
        ValueError: another share.

    Example:
        >>> import torch
        >>> from fastcv.learn.schedules import constant_then_linear
        >>> adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        >>> schedule, rates = constant_then_linear()(adam, 8), []
        >>> for _ in range(8):
        ...     rates += schedule.get_last_lr()
        ...     adam.step()
        ...     schedule.step()
        >>> rates
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if not 0 <= constant <= 1:
        raise ValueError(f"constant must be a share from 0 to 1, got {constant}")

    def make(optimizer: Optimizer, steps: int) -> LRScheduler:
        falling = steps - steps * constant

        def factor(step: int) -> float:
            return min(1.0, (steps - step) / falling) if falling else 1.0

        return LambdaLR(optimizer, factor)

    return make


def fastest_precision(device: str) -> str:
    """bfloat16 where the device multiplies it, 1.2 to 1.8 times as fast; else float32."""
    if device == "cpu":
        native = torch.cpu._is_avx512_bf16_supported()
    else:
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if native else "32-true"
