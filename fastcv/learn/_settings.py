"""What a run is called with: checked at its start, and compared where it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fastcv.learn._player import Player
from fastcv.learn._state import is_sharded


def check(train_data: Any, epochs: int, batch_size: int, accumulate: int, processes: int) -> None:
    if not hasattr(train_data, "__len__") or not hasattr(train_data, "__getitem__"):
        raise TypeError(
            "train_data must be a map-style dataset, with a length and items by index, got "
            f"{type(train_data).__name__}"
        )
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("accumulate", accumulate)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if batch_size % (processes * accumulate):
        raise ValueError(
            f"batch_size must be a multiple of processes x accumulate = {processes} x "
            f"{accumulate}, got {batch_size}"
        )
    if len(train_data) < batch_size:
        raise ValueError(
            f"train_data must have at least batch_size = {batch_size} items, got {len(train_data)}"
        )


def settings_of(
    model: nn.Module,
    players: Sequence[Player],
    *,
    length: int,
    epochs: int,
    batch_size: int,
    accumulate: int,
    seed: int,
    precision: Any,
    clip_norm: float | None,
    ema_decay: float | None,
) -> dict[str, Any]:
    """By name, what must be the same for a run to go on as if it had not stopped."""
    return {
        "model": _describe(model),
        "len(train_data)": length,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "seed": seed,
        "precision": precision,
        "sharded": is_sharded(model),
        "clip_norm": clip_norm,
        "ema_decay": ema_decay,
        "optimizer": [_describe_optimizer(p.optimizer) for p in players],
        "scheduler": [p.scheduler and type(p.scheduler).__name__ for p in players],
        # None where they are as ever, so that checkpoints from before them go on.
        "every": {p.name: p.every for p in players if p.every != 1} or None,
        "shared_forward": players[0].shared or None,
        # A schedule is made for a number of epochs; without one, more may be added.
        "epochs": epochs if any(p.scheduler is not None for p in players) else None,
    }


def _describe(model: nn.Module) -> str:
    return f"{type(model).__name__} with {sum(p.numel() for p in model.parameters())} weights"


def _describe_optimizer(optimizer: torch.optim.Optimizer) -> str:
    """Its settings, and where groups of parameters have rates of their own, those too."""
    rates = [group["lr"] for group in optimizer.param_groups]
    of_groups = f", lr by group {rates}" if len(rates) > 1 else ""
    return f"{type(optimizer).__name__} {optimizer.defaults}{of_groups}"
