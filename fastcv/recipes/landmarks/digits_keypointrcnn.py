"""A small Keypoint R-CNN that finds five points of each digit: minutes on two cores.

It is the detector that ships; only the keypoint branch learns, on 1200 scenes of 192 x 192 pixels.
Digits stand almost upright: the points turn with a digit, and handwriting does not show how far it
was turned.
"""

from __future__ import annotations

from functools import partial

from fastcv.classes import DIGIT_KEYPOINTS
from fastcv.data import DrawnDigits
from fastcv.metrics import evaluate_keypoints
from fastcv.recipes._recipe import Recipe
from fastcv.recipes.detection.digits_detector._branches import (
    EPOCHS,
    reached,
    schedule,
    with_branch,
)

MAX_ANGLE = 5.0  # degrees

RECIPE = Recipe(
    name="digits_keypointrcnn",
    summary="Keypoint R-CNN: the detector that ships, and a keypoint branch that learns",
    data={
        "train": partial(DrawnDigits, "train", length=1200, max_angle=MAX_ANGLE),
        "test": partial(DrawnDigits, "test", length=200, max_angle=MAX_ANGLE),
    },
    build=partial(
        with_branch,
        "keypointrcnn_resnet18_fpn",
        keypoints=DIGIT_KEYPOINTS,
        keypoint_channels=32,
    ),
    epochs=EPOCHS,
    schedule=schedule,
    metrics=evaluate_keypoints,
    level=reached(AP=0.426, AP50=0.796, box_AP=0.752),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
