"""Two stacked hourglasses that find five points of a digit in its crop: minutes on two cores.

They learn from the digits of 900 scenes, each in a crop that is a little off, of 64 x 64
pixels. The test tells them the digits' boxes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastcv.classes import DIGIT_KEYPOINTS
from fastcv.data import DrawnDigits, KeypointCrops
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import evaluate_landmarks
from fastcv.models import create_model
from fastcv.recipes._recipe import Level, Recipe

CROP = 64  # pixels


def training_crops() -> KeypointCrops:
    """The digits of the training scenes."""
    return KeypointCrops(DrawnDigits("train", length=900), CROP, jitter=0.08)


def metrics(model: Any, data: Any) -> dict[str, Any]:
    """NME and PCK@.1 of the last stack, and the first one's NME."""
    first = evaluate_landmarks(model, data, stack=0)
    return {**evaluate_landmarks(model, data), "nme_of_stack_1": first["nme"]}


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down."""
    return {
        "batch_size": 32,
        "optimizer": partial(adamw, lr=4e-3),
        "scheduler": one_cycle(0.1),
    }


RECIPE = Recipe(
    name="digits_hourglass",
    summary="two stacked hourglasses of 24 channels on crops of digits",
    data={"train": training_crops, "test": partial(DrawnDigits, "test", length=150)},
    build=partial(
        create_model,
        "stacked_hourglass_2",
        keypoints=DIGIT_KEYPOINTS,
        channels=24,
        crop_size=CROP,
    ),
    epochs=6,
    schedule=schedule,
    metrics=metrics,
    level=Level(
        {"pck": 0.5},
        on="the digits of 150 scenes, none of which it saw, in boxes that it is told",
        runs="seed 0, one run",
        date="2026-11-30",
    ),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
