"""A small Mask R-CNN that says which pixels are a digit's: minutes on one core.

It is the detector that ships; only the mask branch learns, on 1200 scenes of 192 x 192 pixels.
"""

from __future__ import annotations

from functools import partial

from fastcv.metrics import evaluate_instances
from fastcv.recipes._recipe import Recipe
from fastcv.recipes.detection.digits_detector._branches import (
    EPOCHS,
    SCENES,
    reached,
    schedule,
    with_branch,
)

RECIPE = Recipe(
    name="digits_maskrcnn",
    summary="Mask R-CNN: the detector that ships, and a mask branch that learns",
    data=SCENES,
    build=partial(with_branch, "maskrcnn_resnet18_fpn", mask_channels=32),
    epochs=EPOCHS,
    schedule=schedule,
    metrics=evaluate_instances,
    level=reached(AP=0.442, AP50=0.920, box_AP=0.758),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
