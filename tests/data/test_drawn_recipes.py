"""Recipes of drawn scenes, and pairs of which most do not match."""

import pytest
import torch

from fastcv.data import DrawnRecipe, DrawnRecipes, DrawnScenes, MismatchedPairs
from fastcv.data.drawn_recipes import KINDS
from fastcv.language import WrittenRecipe


@pytest.fixture(scope="module")
def drawn():
    return DrawnRecipes(DrawnScenes("val", size=(48, 48), length=12))


def test_items(drawn):
    assert len(KINDS) == len(set(KINDS)) == 1 + 3 * 8 and drawn.classes == KINDS
    for index in range(len(drawn)):
        image, target = drawn[index]
        scene = drawn.scenes[index][1]["scene"]
        assert torch.equal(image, drawn.scenes[index][0]) and target.scene == scene
        recipe = target.recipe
        assert set(recipe.ingredients) == {scene.background, *map(str, scene.digits)}
        assert len(recipe) == len(recipe.instructions) == 1 + len(scene.digits)
        assert scene.background in recipe.instructions[0]
        for digit, step in zip(scene.digits, recipe.instructions[1:], strict=True):
            assert step.startswith(f"draw the {digit}")
        count = ("one", "two", "three")[len(scene.digits) - 1]
        assert KINDS[target.label] == f"{count} on {scene.background}"
    with pytest.raises(IndexError):
        drawn[12]


def items(count):
    """Pictures of one number each, whose recipe and label say the same number."""
    return [
        (torch.full((3, 1, 1), i), DrawnRecipe(WrittenRecipe((str(i),), ("mix",)), i, None))
        for i in range(count)
    ]


def test_mismatched_pairs():
    data = MismatchedPairs(items(5))
    torch.manual_seed(0)
    matches, others = 0, [0] * 5
    for _ in range(1500):
        for index in (0, 3):
            image, recipe, match, image_label, recipe_label = data[index]
            assert recipe.ingredients == (str(index),) and recipe_label == index
            assert image.unique().tolist() == [image_label]
            assert match == (image_label == index)
            matches += match
            others[image_label] += index == 3
    # 3000 draws of 0.2: five standard deviations are 110.
    assert abs(matches - 600) < 110
    # 1500 draws each: of its own 0.2, of each of the four others 0.2 as well; five are 78.
    assert all(abs(count - 300) < 78 for count in others)
    assert data[-1].recipe_label == 4


def test_all_or_none_match():
    assert all(MismatchedPairs(items(3), 0.0)[i].match for i in range(3))
    assert not any(MismatchedPairs(items(2), 1.0)[i % 2].match for i in range(20))
    assert MismatchedPairs(items(1), 0.0)[0].match


def test_a_batch():
    torch.manual_seed(0)
    data = MismatchedPairs(items(4), 0.5)
    batch = [data[i] for i in range(4)]
    images, targets = MismatchedPairs.collate(batch)
    assert len(images) == 4 and images[2] is batch[2].image
    assert targets.recipes == [pair.recipe for pair in batch]
    assert targets.match.tolist() == [pair.match for pair in batch]
    assert targets.match.dtype == torch.bool
    assert targets.image_labels.tolist() == [pair.image_label for pair in batch]
    assert targets.recipe_labels.tolist() == [0, 1, 2, 3]


def test_what_it_refuses():
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match="mismatched must be 0 to 1"):
            MismatchedPairs(items(3), wrong)
    with pytest.raises(ValueError, match="data must have 2 items or more to mismatch, got 1"):
        MismatchedPairs(items(1))
    with pytest.raises(IndexError):
        MismatchedPairs(items(3))[3]


def test_vectors_of_a_recipe(drawn):
    target = drawn[0][1]
    vectors = torch.rand(len(target.recipe), 4)
    with_vectors = target.with_vectors(vectors)
    assert torch.equal(with_vectors.recipe.vectors, vectors) and with_vectors == target
    assert with_vectors.recipe.to("cpu").ingredients == target.recipe.ingredients
    assert target.recipe.to("meta") is target.recipe
    assert with_vectors.recipe.to("meta").vectors.is_meta
