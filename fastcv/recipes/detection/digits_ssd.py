"""A small SSD that finds handwritten digits on photographs.

Data: ``DrawnDigits``, 4000 scenes of 192 x 192 pixels with 1 to 6 digits. Model: ResNet-18 of half
the width, five maps. Schedule: AdamW, one cycle, six passes, a quarter of an hour on one core.
Level: AP 0.672, AP50 0.928 on 500 scenes whose digits and photographs it never saw (seed 0, one
run).
"""

from __future__ import annotations

import os
from typing import Any

from fastcv.data import DrawnDigits
from fastcv.models import Model, create_model
from fastcv.recipes.detection._digits import evaluate_on_digits, train_on_digits

EPOCHS = 6


def build() -> Model:
    """The model with random weights."""
    model = create_model(
        "ssd_resnet18",
        num_classes=len(DrawnDigits.classes),
        width=32,
        extra_channels=64,
        size=192,
        scales=(0.1, 0.18, 0.28, 0.4, 0.6, 0.8),
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
    """Train from nothing; see ``train_on_digits``. ``epochs``: by default 6."""
    return train_on_digits(
        build,
        "digits_ssd",
        out,
        seed=seed,
        epochs=epochs or EPOCHS,
        device=device,
        workers=workers,
    )


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """COCO metrics on the test scenes; see ``evaluate_on_digits``."""
    return evaluate_on_digits(weights, device=device)
