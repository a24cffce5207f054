"""Recipes as JSON; what else they refuse is in tests/models/language/test_im2recipe.py."""

import json

import pytest

from fastcv.language import WrittenRecipe


def test_json():
    recipe = WrittenRecipe(("밀가루", "olive oil"), ("Mix.", "Bake it."))
    line = json.dumps(
        {"instructions": ["Mix.", "Bake it."], "ingredients": ["밀가루", "olive oil"]}
    )
    assert WrittenRecipe.from_json(line) == recipe and len(recipe) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a cake", "JSON as .* got 'a cake'"),
        ("", "JSON as"),
        ("[1, 2]", "JSON as"),
        ("null", "JSON as"),
        ('{"ingredients": ["a"]}', "JSON as"),
        ('{"ingredients": "a", "instructions": ["b"]}', "ingredients of a recipe must be a list"),
        ('{"ingredients": ["a"], "instructions": [3]}', "instructions of a recipe must be a list"),
        ('{"ingredients": [], "instructions": ["b"]}', "this recipe has none"),
        ('{"ingredients": ["a"], "instructions": []}', "instructions must be one or more"),
        ('{"ingredients": ["a", ""], "instructions": ["b"]}', "number 1 is"),
    ],
)
def test_what_is_no_recipe(text, words):
    with pytest.raises(ValueError, match=words) as error:
        WrittenRecipe.from_json(text)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200
