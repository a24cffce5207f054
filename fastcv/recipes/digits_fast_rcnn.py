"""A small Fast R-CNN that finds handwritten digits on photographs, in boxes of selective search.

Data: ``DrawnDigits``, 4000 scenes of 192 x 192 pixels with 1 to 6 digits. Model: ResNet-18 of half
the width up to its third stage, on scenes twice as large. Schedule: AdamW, one cycle, four passes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from fastcv.data import DrawnDigits, WithProposals
from fastcv.learn import evaluate_detector, fit
from fastcv.models import System, create_model, load_model, save_model
from fastcv.recipes._device import device_named

WEIGHTS = "digits_fast_rcnn.safetensors"
EPOCHS = 4


def build() -> System:
    """The model with random weights."""
    model = create_model(
        "fast_rcnn_resnet18",
        num_classes=len(DrawnDigits.classes),
        width=32,
        head_channels=256,
        min_size=384,
        max_size=640,
    )
    model.classes = DrawnDigits.classes
    return model


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, Any]:
    """Train from nothing; a run that was stopped goes on.

    Args:
        out: folder for the run; ``digits_fast_rcnn.safetensors`` in it is the result.
        seed: of weights, order and sampling.
        epochs: passes over the 4000 scenes; by default 4.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that draw scenes and search them.

    Returns:
        what ``evaluate`` found on the test scenes.
    """
    torch.manual_seed(seed)
    model = build()
    fit(
        model,
        WithProposals(DrawnDigits("train")),
        epochs=epochs or EPOCHS,
        batch_size=8,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05),
        scheduler=lambda optimizer, steps: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=1e-3, total_steps=steps, pct_start=0.1
        ),
        clip_norm=10.0,
        ema_decay=0.998,
        val_data=DrawnDigits("val", length=100),
        evaluate=evaluate_detector,
        out=out,
        seed=seed,
        devices=device,
        workers=workers,
    )
    weights = Path(out) / WEIGHTS
    save_model(weights, model, half=True)
    return evaluate(weights, device=device)


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """COCO metrics on the test scenes.

    Args:
        weights: a file that ``train`` wrote.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: no weights; none ship.
    """
    if weights is None:
        raise ValueError("weights must be a file that train() wrote: none ship with this recipe")
    return evaluate_detector(load_model(weights).to(device_named(device)), DrawnDigits("test"))
