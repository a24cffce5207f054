"""Recipes for drawn scenes: digits are the ingredients, the order of drawing the instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data.drawn_scenes import BACKGROUNDS, DrawnScenes, Scene
from fastcv.data.protocols import SizedDataset
from fastcv.data.scene_questions import COUNTS
from fastcv.data.scene_text import recipe
from fastcv.language.written_recipe import WrittenRecipe

KINDS = ("none", *(f"{count} on {background}" for background in BACKGROUNDS for count in COUNTS))
"""What a recipe is of, by label, as titles of dishes are; label 0 is of what has no kind."""


@dataclass(frozen=True)
class DrawnRecipe:
    """A recipe and what it draws.

    Args:
        recipe: ingredients and instructions.
        label: its kind, one of ``KINDS``.
        scene: what is on the picture.
    """

    recipe: WrittenRecipe
    label: int
    scene: Scene

    def with_vectors(self, vectors: Tensor) -> DrawnRecipe:
        """The same with vectors ``[N, D]`` of its instructions."""
        return replace(self, recipe=replace(self.recipe, vectors=vectors))


class DrawnRecipes(Dataset[tuple[Tensor, DrawnRecipe]]):
    """Each picture of ``DrawnScenes`` with the recipe by which it is drawn.

    The ingredients are the digits with their colours, and the background. The instructions say what
    is drawn first and where each next digit goes. The kind is how many digits there are on which
    background, such as ``"two on grass"``.

    Args:
        scenes: the pictures.

    An item is ``(image, DrawnRecipe)``.

    Example:
        >>> from fastcv.data import DrawnRecipes, DrawnScenes
        >>> recipes = DrawnRecipes(DrawnScenes("val"))
        >>> image, target = recipes[3]
        >>> target.recipe.ingredients, recipes.classes[target.label]
        (('black five', 'brick', 'white six', 'yellow seven'), 'three on brick')
        >>> target.recipe.instructions[-1]
        'draw the white six below the yellow seven'
    """

    classes = KINDS

    def __init__(self, scenes: DrawnScenes) -> None:
        self.scenes = scenes

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> tuple[Tensor, DrawnRecipe]:
        image, target = self.scenes[index]
        scene = target["scene"]
        kind = f"{COUNTS[len(scene.digits) - 1]} on {scene.background}"
        return image, DrawnRecipe(recipe(scene), KINDS.index(kind), scene)


class PairTargets(NamedTuple):
    """Of pairs of a picture and a recipe.

    Args:
        match: ``[B]`` bool, whether the recipe is the picture's own.
        image_labels: ``[B]`` int64, the kinds of the pictures; 0 where there is none.
        recipe_labels: ``[B]`` int64, those of the recipes.
    """

    match: Tensor
    image_labels: Tensor
    recipe_labels: Tensor


class MismatchedPairs(Dataset[tuple[tuple[Tensor, WrittenRecipe], PairTargets]]):
    """Recipes with their own pictures, and more often with others.

    An item is ``((image, recipe), PairTargets)`` of scalars. Which picture a recipe comes with is
    drawn anew each time, by torch's generator: ``fit`` seeds it by epoch and item.

    Args:
        data: items ``(image, target)``; a target has ``recipe`` and ``label``, as a
            ``DrawnRecipe`` has.
        mismatched: how often the picture is another's, 0 to 1.

    Raises:
        ValueError: ``mismatched`` is out of its range, or there is no other picture to draw.

    Source: Salvador et al., "Learning Cross-modal Embeddings for Cooking Recipes and Food Images"
        (2017), section 4.3: 80 % of the pairs.

    Example:
        >>> import torch
        >>> from fastcv.data import DrawnRecipes, DrawnScenes, MismatchedPairs
        >>> pairs = MismatchedPairs(DrawnRecipes(DrawnScenes("val", length=5)))
        >>> generator = torch.manual_seed(0)
        >>> [bool(pairs[0][1].match) for _ in range(5)]
        [False, True, False, False, False]
    """

    def __init__(self, data: SizedDataset, mismatched: float = 0.8) -> None:
        if not 0 <= mismatched <= 1:
            raise ValueError(f"mismatched must be 0 to 1, got {mismatched}")
        if mismatched and len(data) < 2:
            raise ValueError(f"data must have 2 items or more to mismatch, got {len(data)}")
        self.data, self.mismatched = data, mismatched

    @property
    def classes(self) -> Sequence[str]:
        """The names of the kinds, those of the data."""
        return getattr(self.data, "classes", ())

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[tuple[Tensor, WrittenRecipe], PairTargets]:
        index = range(len(self))[index]
        image, target = self.data[index]
        image_label = target.label
        match = not bool(torch.rand(()) < self.mismatched)
        if not match:
            # One less than there are: behind the recipe's own place all move by one.
            other = int(torch.randint(len(self) - 1, ()))
            image, of_image = self.data[other + (other >= index)]
            image_label = of_image.label
        labels = torch.tensor(image_label), torch.tensor(target.label)
        return (image, target.recipe), PairTargets(torch.tensor(match), *labels)


def collate_pairs(
    batch: Sequence[tuple[tuple[Tensor, WrittenRecipe], Any]],
) -> tuple[tuple[list[Tensor], list[WrittenRecipe]], PairTargets]:
    """Items of ``MismatchedPairs`` as lists of pictures and recipes, and targets ``[B]`` each."""
    inputs, targets = zip(*batch, strict=True)
    images, recipes = zip(*inputs, strict=True)
    stacked = (torch.stack(values) for values in zip(*targets, strict=True))
    return (list(images), list(recipes)), PairTargets(*stacked)
