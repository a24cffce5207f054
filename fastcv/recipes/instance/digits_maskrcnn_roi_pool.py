"""``digits_maskrcnn`` with RoIPool in its mask branch: what RoIAlign is worth.

The boxes are the same, to the last bit.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from fastcv.recipes.detection.digits_detector._branches import reached, with_branch
from fastcv.recipes.instance import digits_maskrcnn

RECIPE = replace(
    digits_maskrcnn.RECIPE,
    name="digits_maskrcnn_roi_pool",
    summary="digits_maskrcnn with RoIPool in its mask branch, to compare",
    build=partial(with_branch, "maskrcnn_resnet18_fpn", mask_channels=32, roi_pool=True),
    level=reached(AP=0.331, AP50=0.848, box_AP=0.758),
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
