"""A small RetinaFace that finds faces and their landmarks on photographs: a quarter of an hour
on one core.

The loss of the landmarks still falls then: they gain from more epochs.

2000 pictures of 128 x 128 pixels train, half of their faces real and without landmarks, half drawn.
None of their photographs and of their real faces is in the 300 that test.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastcv.data import DrawnFaces
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import evaluate_faces
from fastcv.models import create_model
from fastcv.recipes._recipe import Level, Recipe

# Heads are 18 to 56 pixels high; the published sizes are for photographs of many times this size.
PRIOR_SIZES = ((14, 20), (28, 40), (56, 80))


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down, averaged weights."""
    return {
        "batch_size": 16,
        "optimizer": partial(adamw, lr=4e-3),
        "scheduler": one_cycle(0.1),
        "clip_norm": 10.0,
        "ema_decay": 0.995,
    }


RECIPE = Recipe(
    name="faces_retinaface",
    summary="RetinaFace on a quarter of MobileNetV1: faces and five landmarks",
    data={
        "train": partial(DrawnFaces, "train"),
        "test": partial(DrawnFaces, "test"),
    },
    build=partial(create_model, "retinaface_mobilenet025", prior_sizes=PRIOR_SIZES),
    epochs=12,
    schedule=schedule,
    metrics=partial(evaluate_faces, batch_size=10),
    level=Level(
        {"AP50": 0.961, "NME": 0.210},
        on="300 pictures whose real faces and photographs it never saw",
        runs="seed 0, one run",
        date="2026-11-30",
    ),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
