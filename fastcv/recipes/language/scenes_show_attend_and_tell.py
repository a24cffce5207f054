"""Show, Attend and Tell on drawn scenes: which digits, in which colours, where, on what.

``build("hard")`` is the model with hard attention.
"""

from __future__ import annotations

from functools import partial

import torch

from fastcv.models import Model, create_model
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe
from fastcv.recipes.language._cnn_first import SIDE
from fastcv.recipes.language._scenes import (
    WORDS,
    CaptionedScenes,
    cnn_first,
    few_steps,
    read_and_scored,
)


def build(attention: str = "soft") -> Model:
    """The model with random weights: a ResNet-18 of a quarter of the width, 8 x 8 cells."""
    model = create_model(
        "show_attend_and_tell_resnet18",
        words=WORDS,
        size=SIDE,
        grid=8,
        width=16,
        small_pictures=True,
        embedding=64,
        hidden=128,
        attention_size=64,
        dropout=0.2,
        attention=attention,
        positions=True,
    )
    return model.to(memory_format=torch.channels_last)  # a quarter less time on a CPU


RECIPE = Recipe(
    name="scenes_show_attend_and_tell",
    summary="Show, Attend and Tell on drawn scenes, soft attention",
    data={
        "train": partial(CaptionedScenes, "train", 6000),
        "test": partial(CaptionedScenes, "test", 500),
    },
    build=build,
    epochs=25,
    schedule=few_steps,
    metrics=read_and_scored,
    level=Level(
        {
            "exact": 0.616,
            "exact, seen": 0.796,
            "digits": 0.666,
            "BLEU-4": 0.870,
            "CIDEr-D / 10": 0.511,
            "pointing": 0.834,
        },
        "500 scenes whose handwriting and photographs it never saw",
        "seed 0, one run",
        "2026-12-01",
    ),
    stages=cnn_first,
    no_weights=NO_WEIGHTS.format("scenes_show_attend_and_tell.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
