"""SCOUTER: a small ResNet that tells digits apart and says why, and another that says why not.

The same trunk learns with a linear head first. From its weights a positive and a negative SCOUTER
go on. Held out: other handwriting on other photographs. Nobody tells a network where digits are;
the pointing game asks whether the true digit's map is highest inside its box.

A run has ``linear/``, ``positive/`` and ``negative/``, each with ``model.safetensors``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from fastcv.explain import pointing_game
from fastcv.explain.faithfulness import highest_pixels
from fastcv.metrics import evaluate_classifier
from fastcv.models.classification.scouter import Scouter
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.explain._scenes import (
    SIDE,
    OneDigitScenes,
    maps_of_true_classes,
    plateaus,
    sized_for_scenes,
    to_pixels,
)
from fastcv.recipes.learn._small import SmallResNet, small_classifier

WIDTH = 12  # of the trunk, whose maps have 8 x 8 cells
SCOUTER_EPOCHS = 8


def build(*, positive: bool = True) -> Scouter:
    """A SCOUTER with random weights."""
    trunk = network()
    model = Scouter(
        nn.Sequential(trunk.stem, trunk.blocks),
        trunk.fc.in_features,
        num_classes=len(OneDigitScenes.classes),
        positive=positive,
    )
    sized_for_scenes(model)
    return model


def network() -> SmallResNet:
    """The trunk with a linear head."""
    return SmallResNet(OneDigitScenes.classes, SIDE, WIDTH)


def linear_then_slots(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains a linear head on the trunk, then slots in its place, of both kinds."""
    scenes, test = recipe.data["train"](), recipe.data["test"]()
    torch.manual_seed(run.seed)
    linear = network()
    run.fit(linear, scenes, "linear", **recipe.schedule(linear, run.device))
    found = {"linear head acc@1": evaluate_classifier(linear, test)["acc@1"]}
    trunk = nn.Sequential(linear.stem, linear.blocks).state_dict()
    for kind in ("positive", "negative"):
        torch.manual_seed(run.seed)
        model = build(positive=kind == "positive")
        model.backbone.load_state_dict(trunk)
        options = recipe.schedule(model, run.device)
        run.fit(model, scenes, kind, epochs=SCOUTER_EPOCHS, **options)
        measured = recipe.metrics(model, test)
        if kind == "negative":
            # Nothing speaks against the true digit.
            measured = {k: v for k, v in measured.items() if not k.startswith("pointing")}
        found |= {f"{kind} {name}": value for name, value in measured.items()}
    return found


def where(model: Scouter, scenes: OneDigitScenes) -> dict[str, Any]:
    """The accuracy; the area of the maps; how well the true digits' maps tell where these are."""
    maps = maps_of_true_classes(model, scenes)
    pixels = to_pixels(maps)
    return {
        "acc@1": evaluate_classifier(model, scenes)["acc@1"],
        "area": maps.mean().item(),
        "pointing": pointing_game(highest_pixels(pixels), scenes.boxes),
        # The rule that was chosen after the line above was seen.
        "pointing within 1%": pointing_game(plateaus(pixels), scenes.boxes),
    }


RECIPE = Recipe(
    name="digits_scouter",
    summary="a small ResNet with a slot for each digit: why it is one, and why not",
    data={
        "train": partial(OneDigitScenes, "train", 3000),
        "test": partial(OneDigitScenes, "test", 500),
    },
    build=build,
    epochs=12,
    schedule=partial(small_classifier, lr=3e-3, batch_size=32),
    metrics=where,
    level=Level(
        {
            "linear head acc@1": 0.850,
            "positive acc@1": 0.872,
            "positive area": 0.210,
            "positive pointing": 0.768,
            "positive pointing within 1%": 0.816,
            "negative acc@1": 0.882,
            "negative area": 0.039,
        },
        "500 scenes of other handwriting on other photographs",
        "seed 0, one run",
        "2026-11-30",
    ),
    stages=linear_then_slots,
    no_weights=NO_WEIGHTS.format("positive/model.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
