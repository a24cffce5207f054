"""The list of recipes."""

import pytest

from fastcv import recipes


@pytest.mark.parametrize("name", recipes.list_recipes())
def test_every_recipe_has_its_verbs(name):
    recipe = recipes.get(name)
    assert callable(recipe.train) and callable(recipe.evaluate) and recipe.__doc__


def test_unknown_recipe():
    with pytest.raises(ValueError, match="no recipe 'digit_detector': did you mean 'digits_det"):
        recipes.get("digit_detector")
    with pytest.raises(ValueError, match=r"no recipe 'xyz': there are: .*digits_detector"):
        recipes.get("xyz")
