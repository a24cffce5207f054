"""A small RetinaNet that finds handwritten digits on photographs.

Data: ``DrawnDigits``, 4000 scenes of 192 x 192 pixels with 1 to 6 digits. Model: ResNet-18-FPN of
half the width, anchors from 16 pixels on. Schedule: AdamW, one cycle, six passes. Level: AP 0.668,
AP50 0.856 on 500 scenes whose digits and photographs it never saw (seed 0, one run).
"""

from __future__ import annotations

import os
from typing import Any

from fastcv.data import DrawnDigits
from fastcv.models import Model, create_model
from fastcv.recipes.detection._digits import evaluate_on_digits, train_on_digits

EPOCHS = 6
SIDES = (16, 32, 64, 128, 256)


def build() -> Model:
    """The model with random weights."""
    model = create_model(
        "retinanet_resnet18_fpn",
        num_classes=len(DrawnDigits.classes),
        width=32,
        fpn_channels=64,
        anchor_sizes=[[side, side * 2 ** (1 / 3), side * 2 ** (2 / 3)] for side in SIDES],
        min_size=192,
        max_size=320,
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
        "digits_retinanet",
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
