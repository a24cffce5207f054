"""A small CenterNet of triplets that finds handwritten digits on photographs."""

from __future__ import annotations

from functools import partial

from fastcv.recipes.detection._digits import digits_model, digits_recipe, reached
from fastcv.recipes.detection.digits_cornernet import HOURGLASS

RECIPE = digits_recipe(
    name="digits_centernet_triplet",
    summary="CenterNet of triplets on the hourglass of digits_cornernet",
    build=partial(digits_model, "centernet_triplet_hourglass52", **HOURGLASS),
    epochs=6,
    level=reached(ap=0.694, ap50=0.823),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
