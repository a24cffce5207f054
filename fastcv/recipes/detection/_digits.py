"""What the recipes of detectors on ``DrawnDigits`` share.

4000 scenes of 192 x 192 pixels with 1 to 6 digits train. None of their photographs and none of
their handwriting is in the 500 scenes that test.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastcv.data import DrawnDigits
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.metrics import evaluate_detector
from fastcv.models import Model, create_model
from fastcv.recipes._recipe import Level, Recipe
from fastcv.recipes.detection._show import show_scenes

DIGITS = {
    "train": partial(DrawnDigits, "train"),
    "val": partial(DrawnDigits, "val", length=100),
    "test": partial(DrawnDigits, "test"),
}


def digits_model(name: str, **options: Any) -> Model:
    """A model with random weights and a class for each digit; arguments as of ``create_model``."""
    model = create_model(name, num_classes=len(DrawnDigits.classes), **options)
    model.classes = DrawnDigits.classes
    return model


def small_detector(model: Any, device: str) -> dict[str, Any]:
    """The schedule: AdamW, a short rise and a long way down, averaged weights."""
    return {
        "batch_size": 8,
        "optimizer": adamw,
        "scheduler": one_cycle(0.1),
        "precision": fastest_precision(device),
        "clip_norm": 10.0,
        "ema_decay": 0.998,
    }


def reached(*, ap: float, ap50: float, scenes: int = 500) -> Level:
    """The level of one run."""
    return Level(
        {"AP": ap, "AP50": ap50},
        on=f"{scenes} scenes whose digits and photographs it never saw",
        runs="seed 0, one run",
        date="2026-11-26",
    )


digits_recipe = partial(
    Recipe, data=DIGITS, schedule=small_detector, metrics=evaluate_detector, show=show_scenes
)
