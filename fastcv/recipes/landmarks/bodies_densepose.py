"""A small DensePose R-CNN that says where on a drawn figure each pixel lies: minutes on two cores.

Its backbone and pyramid start from the detector of digits that ships.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastcv.data import DrawnBodies
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import evaluate_dense_correspondence
from fastcv.models import Model, create_model, load_model
from fastcv.recipes._recipe import Level, Recipe
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS

MODEL = "densepose_rcnn_resnet18_fpn"
SIZES: dict[str, Any] = {
    "charts": len(DrawnBodies.charts),
    "width": 32,
    "fpn_channels": 64,
    "head_channels": 128,
    "surface_channels": 48,
    "surface_layers": 4,
    "rois_per_image": 24,
    "anchor_sizes": ((32,), (48,), (64,), (96,), (128,)),
    "min_size": 128,
    "max_size": 256,
}
Bodies = partial(DrawnBodies, size=(128, 128), max_bodies=2, body_size=(80, 120))


def build() -> Model:
    """The model, of which the backbone has learned to see digits."""
    model = create_model(MODEL, classes=DrawnBodies.classes, **SIZES)
    trained = load_model(WEIGHTS).get_submodule("backbone")
    model.get_submodule("backbone").load_state_dict(trained.state_dict())
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down."""
    return {
        "batch_size": 4,
        "optimizer": partial(adamw, lr=2e-3),
        "scheduler": one_cycle(0.1),
        "clip_norm": 10.0,
    }


RECIPE = Recipe(
    name="bodies_densepose",
    summary="DensePose R-CNN of drawn figures: I, U and V of each pixel",
    data={
        "train": partial(Bodies, "train", length=1000),
        "test": partial(Bodies, "test", length=100),
    },
    build=build,
    epochs=5,
    schedule=schedule,
    metrics=evaluate_dense_correspondence,
    level=Level(
        {"AP": 0.544, "AP50": 0.937, "I_accuracy": 0.806, "UV_error": 0.104, "box_AP": 0.613},
        on="100 scenes on photographs it never saw",
        runs="seed 0, one run",
        date="2026-11-30",
    ),
)
train, evaluate = RECIPE.train, RECIPE.evaluate
