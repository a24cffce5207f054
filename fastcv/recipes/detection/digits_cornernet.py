"""A small CornerNet that finds handwritten digits on photographs."""

from __future__ import annotations

from functools import partial

from fastcv.recipes.detection._digits import digits_model, digits_recipe, reached

# One module at each of four sizes, at most 96 channels; digits_centernet_triplet has it too.
HOURGLASS = {"dims": (48, 48, 64, 96), "modules": (1, 1, 1, 1), "size": 191}

RECIPE = digits_recipe(
    name="digits_cornernet",
    summary="CornerNet on one hourglass of four sizes and at most 96 channels",
    build=partial(digits_model, "cornernet_hourglass104", stacks=1, **HOURGLASS),
    epochs=6,
    level=reached(ap=0.616, ap50=0.738),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
