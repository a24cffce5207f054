"""How long, in what batches and how fast to learn, where nobody says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.models._tasks import Training

PICTURES_SEEN = 16000  # in all; a model that is trained already needs fewer
PICTURES_SEEN_FROM_WEIGHTS = 6000
EPOCHS = (12, 100)  # at least and at most
LR_FROM_WEIGHTS = 0.5  # of the rate of random weights
EMA_DECAY = 0.998


@dataclass(frozen=True)
class Plan:
    """What ``fit`` is told of the schedule."""

    epochs: int
    batch_size: int
    lr: float

    def __str__(self) -> str:
        return (
            f"{self.epochs} epoch{'s' if self.epochs > 1 else ''} in batches of "
            f"{self.batch_size}; AdamW up to a rate of {self.lr:.2g} and down to nothing; averaged "
            f"weights (EMA {EMA_DECAY})"
        )

    def options(self, device: str) -> dict[str, Any]:
        """For ``fit``: AdamW, a short rise and a long way down, averaged weights."""
        make: Callable[..., Any] = partial(adamw, lr=self.lr)
        return {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "optimizer": make,
            "scheduler": one_cycle(0.1),
            "precision": fastest_precision(device),
            "clip_norm": 10.0,
            "ema_decay": EMA_DECAY,
        }


def make_plan(
    training: Training,
    pictures: int,
    *,
    processes: int,
    from_weights: bool,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
) -> Plan:
    """What is given, and the rest by the number of pictures.

    The rate goes with the root of the batch size, as Adam's should.

    Args:
        training: the task's.
        pictures: that train.
        processes: that share a batch.
        from_weights: whether the model was trained before.
        epochs, batch_size, lr: None where nobody says.
    """
    if batch_size is None:
        # Small sets in small batches: eight steps in an epoch, where there are pictures for it.
        of_each = min(training.batch_size, max(2, pictures // 8)) / processes
        batch_size = min(pictures, max(1, round(of_each)) * processes)
    if epochs is None:
        seen = PICTURES_SEEN_FROM_WEIGHTS if from_weights else PICTURES_SEEN
        epochs = min(max(round(seen / pictures), EPOCHS[0]), EPOCHS[1])
    if lr is None:
        share = LR_FROM_WEIGHTS if from_weights else 1.0
        lr = share * training.lr * math.sqrt(batch_size / training.batch_size)
    return Plan(epochs, batch_size, lr)
