"""Show, Attend and Tell with hard attention on drawn scenes: one cell at a word, by REINFORCE."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from fastcv.recipes._recipe import NO_WEIGHTS, Level
from fastcv.recipes.language import scenes_show_attend_and_tell as soft

RECIPE = replace(
    soft.RECIPE,
    name="scenes_hard_attention",
    summary="Show, Attend and Tell on drawn scenes, hard attention",
    build=partial(soft.build, "hard"),
    level=Level({"exact": 0.1}, "500 scenes", "seed 0, one run", "2026-12-01"),
    no_weights=NO_WEIGHTS.format("scenes_hard_attention.safetensors") + " as weights",
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
