"""What recipes of detectors on ``DrawnDigits`` share: schedule and evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from fastcv.data import DrawnDigits
from fastcv.learn import fit
from fastcv.learn._player import MakeOptimizer
from fastcv.metrics import evaluate_detector
from fastcv.models import Model, load_model, save_model
from fastcv.recipes._device import device_named, precision_on
from fastcv.recipes.learn._small import adamw

NO_WEIGHTS = (
    "no weights of this recipe ship: train first, then pass the .safetensors that it wrote as "
    "weights"
)


def short_rise(
    optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """One cycle: a tenth of the steps up to each group's learning rate, then down to nothing."""
    greatest = [group["lr"] for group in optimizer.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, greatest, steps, pct_start=0.1)


def train_on_digits(
    build: Callable[[], Model],
    name: str,
    out: str | os.PathLike[str],
    *,
    seed: int,
    epochs: int,
    device: str,
    workers: int,
    optimizer: MakeOptimizer = adamw,
    clip_norm: float = 10.0,
    data: Dataset[Any] | None = None,
) -> dict[str, Any]:
    """Train from what ``build`` makes; a run that was stopped goes on.

    Args:
        build: makes the model.
        name: of the recipe, and of the weights in ``out``.
        out: folder for the run; ``{name}.safetensors`` in it is the result.
        seed: of weights and order.
        epochs: passes over the scenes.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that draw scenes.
        optimizer: each group's learning rate is the greatest of its cycle.
        clip_norm: the greatest norm of the gradient.
        data: by default the 4000 training scenes.

    Returns:
        what ``evaluate_on_digits`` found.
    """
    torch.manual_seed(seed)
    model = build()
    fit(
        model,
        DrawnDigits("train") if data is None else data,
        epochs=epochs,
        batch_size=8,
        optimizer=optimizer,
        scheduler=short_rise,
        precision=precision_on(device),
        clip_norm=clip_norm,
        ema_decay=0.998,
        val_data=DrawnDigits("val", length=100),
        evaluate=evaluate_detector,
        out=out,
        seed=seed,
        devices=device,
        workers=workers,
    )
    weights = Path(out) / f"{name}.safetensors"
    save_model(weights, model, half=True)
    return evaluate_on_digits(weights, device=device)


def evaluate_on_digits(weights: str | os.PathLike[str] | None, *, device: str) -> dict[str, Any]:
    """COCO metrics on the test scenes.

    Raises:
        ValueError: no weights: none ship.
    """
    if weights is None:
        raise ValueError(NO_WEIGHTS)
    model = load_model(weights)
    return evaluate_detector(model.to(device_named(device)), DrawnDigits("test"))
