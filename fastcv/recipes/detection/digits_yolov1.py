"""A small YOLO v1 that finds handwritten digits on photographs.

The paper's network with a quarter of the channels and with norms, 6 x 6 cells, on scenes twice as
large. As in the paper the first 20 convolutions learn to classify first, on 96000 pictures of one
digit, at half of the side; they then learn slowly, the four that follow fast. 72000 scenes train
all: a fully connected layer learns each cell by itself, and 4000 would show a cell each digit but a
few times. After 24000 scenes AP50 was 0.189.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import nn

from fastcv.data import DrawnDigits
from fastcv.learn.schedules import adamw
from fastcv.recipes._recipe import Recipe, Run
from fastcv.recipes.detection._digits import (
    DIGITS,
    digits_model,
    digits_recipe,
    reached,
    small_detector,
)
from fastcv.recipes.detection._trunk_first import OneDigit, learn_to_classify

LR, LR_LAST = 2e-4, 1e-3  # at 1e-3 the first convolutions forgot the classes
FIRST = 20 * 3 + 4  # modules: 20 convolutions with norm and activation, four pools
FIRST_CHANNELS = 256


def features_of(model: nn.Module) -> nn.Sequential:
    """The 24 convolutions."""
    return cast("nn.Sequential", model.get_submodule("features"))


def schedule(model: nn.Module, device: str) -> dict[str, Any]:
    """That of the other detectors, slower but for the last four convolutions."""
    features = features_of(model)
    groups = [
        {"params": list(features[:FIRST].parameters()), "lr": LR},
        {"params": list(features[FIRST:].parameters()), "lr": LR_LAST},
        {"params": list(model.get_submodule("head").parameters()), "lr": LR},
    ]
    return {**small_detector(model, device), "optimizer": lambda _: adamw(groups)}


def first_layers_first(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train the first layers as a classifier, then all."""
    torch.manual_seed(run.seed)
    model = recipe.build()
    first = features_of(model)[:FIRST]
    learn_to_classify(first, FIRST_CHANNELS, recipe.data["pictures"](), run, part="first_layers")
    recipe.fit(model, run)
    return recipe.keep(model, run)


RECIPE = digits_recipe(
    name="digits_yolov1",
    summary="YOLO v1 of a quarter of the channels that learned to classify first",
    data={
        **DIGITS,
        "pictures": partial(OneDigit, 96000, enlarge=2),
        "train": partial(DrawnDigits, "train", length=72000),
    },
    build=partial(
        digits_model,
        "yolov1",
        grid=6,
        width=16,
        hidden=1024,
        dropout=0.0,  # no scene is seen twice
        batch_norm=True,
    ),
    epochs=1,
    schedule=schedule,
    level=reached(ap=0.127, ap50=0.424),
    stages=first_layers_first,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
