"""A small CenterNet of points that finds handwritten digits on photographs."""

from __future__ import annotations

from functools import partial

from fastcv.recipes.detection._digits import digits_model, digits_recipe, reached

RECIPE = digits_recipe(
    name="digits_centernet",
    summary="CenterNet of points on a DLA-34 of a quarter of the channels",
    build=partial(
        digits_model,
        "centernet_dla34",
        channels=(16, 16, 32, 64, 96, 128),
        head_channels=64,
        size=192,
    ),
    epochs=6,
    level=reached(ap=0.782, ap50=0.960),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
