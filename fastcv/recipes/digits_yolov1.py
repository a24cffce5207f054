"""A small YOLO v1 that finds handwritten digits on photographs.

Data: ``DrawnDigits``, 4000 scenes of 192 x 192 pixels with 1 to 6 digits. Model: the paper's 24
convolutions with a quarter of the channels and with norms, 6 x 6 cells of 32 pixels. Schedule:
AdamW, one cycle, 12 passes.
"""

from __future__ import annotations

import os
from typing import Any

from fastcv.data import DrawnDigits
from fastcv.models import System, create_model
from fastcv.recipes._digits import evaluate_on_digits, train_on_digits

EPOCHS = 12


def build() -> System:
    """The model with random weights."""
    model = create_model(
        "yolov1",
        num_classes=len(DrawnDigits.classes),
        grid=6,
        last_stride=1,
        width=16,
        hidden=512,
        batch_norm=True,
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
    """Train from nothing; see ``train_on_digits``. ``epochs``: by default 12."""
    return train_on_digits(
        build,
        "digits_yolov1",
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
