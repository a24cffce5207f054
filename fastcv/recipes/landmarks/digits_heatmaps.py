"""Five points of a digit as heatmaps; ``digits_coordinates`` has the same backbone.

Both learn from digits in the left half of a picture. The test asks for them in the right half, too.
"""

from __future__ import annotations

from fastcv.recipes.landmarks._heads import recipe, with_heatmaps

RECIPE = recipe(
    "digits_heatmaps",
    "landmarks as heatmaps, on the backbone of digits_coordinates",
    with_heatmaps,
    nme_seen=0.102,
    pck_seen=0.639,
    nme_unseen=0.123,
    pck_unseen=0.616,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
