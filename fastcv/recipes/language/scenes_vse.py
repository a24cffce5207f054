"""VSE on drawn scenes: ``scenes_vsepp`` with the sum over all wrong pairs to the end."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from fastcv.recipes._recipe import NO_WEIGHTS, Level
from fastcv.recipes.language import scenes_vsepp

build = partial(scenes_vsepp.build, "vse_resnet18")
RECIPE = replace(
    scenes_vsepp.RECIPE,
    name="scenes_vse",
    summary="VSE on drawn scenes: as VSE++, by the sum over all wrong pairs",
    build=build,
    level=Level(
        {
            "image to text R@1": 0.388,
            "image to text R@5": 0.696,
            "image to text R@10": 0.848,
            "image to text MedR": 2.0,
            "text to image R@1": 0.412,
            "text to image R@5": 0.909,
            "text to image R@10": 0.992,
            "text to image MedR": 2.0,
            "analogy of digit": 0.099,
            "analogy of digit, background": 0.953,
            "analogy of colour": 1.000,
            "analogy of colour, background": 0.936,
            "right tags": 0.876,
            "exact colours and background": 0.424,
        },
        "500 scenes whose handwriting and photographs it never saw",
        "seed 0, one run",
        "2026-12-01",
    ),
    no_weights=NO_WEIGHTS.format("scenes_vse.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
