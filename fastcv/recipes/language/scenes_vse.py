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
    level=Level({}, "", "", ""),
    no_weights=NO_WEIGHTS.format("scenes_vse.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
