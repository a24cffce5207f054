"""A small R-CNN that finds handwritten digits on photographs, in boxes of selective search.

The network learns from 600 scenes, then SVMs and box regressions are solved, of the first 200. It
is measured on 100 scenes: crops take their time.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from fastcv.data import DrawnDigits, WithProposals
from fastcv.metrics import evaluate_detector
from fastcv.models.detection.rcnn import RCNN
from fastcv.recipes._recipe import Recipe, Run
from fastcv.recipes.detection._digits import digits_model, digits_recipe, reached, small_detector


def schedule(model: Any, device: str) -> dict[str, Any]:
    """That of the other detectors, with fewer scenes a step, and without averaged weights."""
    return {**small_detector(model, device), "batch_size": 4, "ema_decay": None}


def network_then_svms(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train the network, then solve the rest with its features, which stay in ``features``."""
    torch.manual_seed(run.seed)
    model = recipe.build()
    assert isinstance(model, RCNN)
    recipe.fit(model, run)
    model.fit_svms(recipe.data["svms"](), cache=run.out / "features", seed=run.seed)
    return recipe.keep(model, run)


RECIPE = digits_recipe(
    name="digits_rcnn",
    summary="R-CNN of three convolutions on crops of 48 x 48 pixels, then SVMs",
    data={
        "train": lambda: WithProposals(DrawnDigits("train", length=600)),
        "svms": lambda: WithProposals(DrawnDigits("train", length=200)),
        "test": partial(DrawnDigits, "test", length=100),
    },
    build=partial(digits_model, "rcnn_small", width=16),
    epochs=4,
    schedule=schedule,
    metrics=partial(evaluate_detector, score_threshold=0.3),
    level=reached(ap=0.417, ap50=0.544, scenes=100),
    stages=network_then_svms,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
