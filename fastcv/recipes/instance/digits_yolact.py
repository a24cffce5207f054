"""A small YOLACT that says which pixels are a digit's: a quarter of an hour on one core.

Its trunk starts as that of the detector that ships, which knows digits but no masks. The pyramid
begins a level finer than the paper's, for strokes are thin: prototypes have 96 x 96 pixels.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastcv.data import DrawnDigits
from fastcv.learn import freeze
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.metrics import evaluate_instances
from fastcv.models import Model, load_model
from fastcv.recipes._recipe import Recipe
from fastcv.recipes.detection._digits import digits_model
from fastcv.recipes.detection.digits_detector._branches import reached
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS


def build() -> Model:
    """The model, with the detector's trunk, which stays as it is; the rest is random."""
    model = digits_model(
        "yolact_resnet18",
        width=32,
        channels=48,
        prototypes=16,
        size=192,
        scales=(16, 24, 32, 48, 64, 96),
        stages=4,
    )
    trunk = model.get_submodule("backbone")
    trunk.load_state_dict(load_model(WEIGHTS).get_submodule("backbone.body").state_dict())
    freeze(trunk)
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down."""
    return {
        "batch_size": 4,
        "optimizer": adamw,
        "scheduler": one_cycle(0.1),
        "precision": fastest_precision(device),
        "clip_norm": 10.0,
    }


RECIPE = Recipe(
    name="digits_yolact",
    summary="YOLACT: the trunk of the detector that ships, prototypes and coefficients",
    data={
        "train": partial(DrawnDigits, "train", length=1600),
        "test": partial(DrawnDigits, "test", length=200),
    },
    build=build,
    epochs=3,
    schedule=schedule,
    metrics=evaluate_instances,
    level=reached(AP=0.311, AP50=0.601, box_AP=0.415),
)
train, evaluate = RECIPE.train, RECIPE.evaluate
