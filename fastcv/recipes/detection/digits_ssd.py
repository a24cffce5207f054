"""A small SSD that finds handwritten digits on photographs: a quarter of an hour on one core."""

from __future__ import annotations

from functools import partial

from fastcv.recipes.detection._digits import digits_model, digits_recipe, reached

RECIPE = digits_recipe(
    name="digits_ssd",
    summary="SSD on a ResNet-18 of half the width, five maps",
    build=partial(
        digits_model,
        "ssd_resnet18",
        width=32,
        extra_channels=64,
        size=192,
        scales=(0.1, 0.18, 0.28, 0.4, 0.6, 0.8),
    ),
    epochs=6,
    level=reached(ap=0.672, ap50=0.928),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
