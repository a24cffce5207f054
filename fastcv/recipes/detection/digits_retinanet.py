"""A small RetinaNet that finds handwritten digits on photographs."""

from __future__ import annotations

from functools import partial

from fastcv.recipes.detection._digits import digits_model, digits_recipe, reached

SIDES = (16, 32, 64, 128, 256)

RECIPE = digits_recipe(
    name="digits_retinanet",
    summary="RetinaNet on a ResNet-18-FPN of half the width, anchors from 16 pixels on",
    build=partial(
        digits_model,
        "retinanet_resnet18_fpn",
        width=32,
        fpn_channels=64,
        anchor_sizes=[[side, side * 2 ** (1 / 3), side * 2 ** (2 / 3)] for side in SIDES],
        min_size=192,
        max_size=320,
    ),
    epochs=6,
    level=reached(ap=0.668, ap50=0.856),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
