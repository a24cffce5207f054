"""A small Faster R-CNN that finds handwritten digits on photographs; its weights ship.

``recipe.py`` is the recipe, ``_demo.py`` shows where its time goes.
"""

from fastcv.recipes.detection.digits_detector.recipe import RECIPE

__all__ = ["RECIPE", "build", "demo", "evaluate", "train"]

build, train, evaluate, demo = RECIPE.build, RECIPE.train, RECIPE.evaluate, RECIPE.demo
