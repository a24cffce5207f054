"""Classifiers that have a map of each class, for the logits are made of it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from fastcv.models.classification._classifier import Classifier


class WithClassMaps(Classifier):
    """A classifier with ``class_maps``; ``fastcv.explain.class_maps`` draws them."""

    class_maps: Callable[[Tensor], Tensor]
    """``class_maps(images)``: ``[B, classes, h, w]`` of normalised images ``[B, 3, H, W]``."""

    why = "why {}"
    """What the map of a class says, with the class's name for the braces."""
