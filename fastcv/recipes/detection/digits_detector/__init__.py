"""A small Faster R-CNN that finds handwritten digits on photographs; its weights ship.

``recipe.py`` trains and evaluates it, ``_demo.py`` shows it at work.
"""

from fastcv.recipes.detection.digits_detector._demo import demo
from fastcv.recipes.detection.digits_detector.recipe import build, evaluate, train

__all__ = ["build", "demo", "evaluate", "train"]
