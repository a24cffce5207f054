"""Recipes for drawn scenes: digits are the ingredients, the order of drawing the instructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

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
        recipes: B of them.
        match: ``[B]`` bool, whether the recipe is the picture's own.
        image_labels: ``[B]`` int64, the kinds of the pictures; 0 where there is none.
        recipe_labels: ``[B]`` int64, those of the recipes.
    """

    recipes: list[WrittenRecipe]
    match: Tensor
    image_labels: Tensor
    recipe_labels: Tensor


class Pair(NamedTuple):
    """A picture ``[3, H, W]``, a recipe, whether that is its own, and the labels of both."""

    image: Tensor
    recipe: WrittenRecipe
    match: bool
    image_label: int
    recipe_label: int


class MismatchedPairs(Dataset[Pair]):
    """Recipes with their own pictures, and more often with others.

    Which picture a recipe comes with is drawn anew each time, by torch's generator: ``fit`` seeds
    it by epoch and item.

    Args:
        data: items ``(image, target)``; a target has ``recipe`` and ``label``, as a
            ``DrawnRecipe`` has.
        mismatched: how often the picture is another's, 0 to 1.

    Raises:
        ValueError: ``mismatched`` is out of its range, or there is no other picture to draw.

    Source: Salvador et al., "Learning Cross-modal Embeddings for Cooking Recipes and Food Images"
        (2017), section 4; the published program mismatches 80 % of the pairs.

    Example:
        >>> import torch
        >>> from fastcv.data import DrawnRecipes, DrawnScenes, MismatchedPairs
        >>> pairs = MismatchedPairs(DrawnRecipes(DrawnScenes("val", length=5)))
        >>> generator = torch.manual_seed(0)
        >>> sum(pairs[0].match for _ in range(20))
        2
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

    def __getitem__(self, index: int) -> Pair:
        index = range(len(self))[index]
        image, target = self.data[index]
        if torch.rand(()) >= self.mismatched:
            return Pair(image, target.recipe, True, target.label, target.label)
        # One less than there are: behind the recipe's own place all move by one.
        other = int(torch.randint(len(self) - 1, ()))
        image, of_image = self.data[other + (other >= index)]
        return Pair(image, target.recipe, False, of_image.label, target.label)

    @staticmethod
    def collate(batch: Sequence[Pair]) -> tuple[list[Tensor], PairTargets]:
        """The pictures, and what ``Im2Recipe.loss`` takes."""
        images, recipes, match, *labels = zip(*batch, strict=True)
        return list(images), PairTargets(
            list(recipes), torch.tensor(match), *map(torch.tensor, labels)
        )
