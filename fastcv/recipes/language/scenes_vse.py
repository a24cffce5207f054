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
            "image to text R@1": 0.782,
            "image to text R@5": 0.976,
            "image to text R@10": 0.994,
            "image to text MedR": 1.0,
            "text to image R@1": 0.795,
            "text to image R@5": 0.987,
            "text to image R@10": 0.996,
            "text to image MedR": 1.0,
            "analogy of digit": 0.947,
            "analogy of digit, background": 0.784,
            "analogy of colour": 1.0,
            "analogy of colour, background": 0.895,
            "right tags": 0.962,
            "exact tags": 0.448,
            "exact colours and background": 0.816,
        },
        "500 scenes whose handwriting and photographs it never saw",
        "seed 0, one run",
        "2026-12-01",
    ),
    no_weights=NO_WEIGHTS.format("scenes_vse.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
