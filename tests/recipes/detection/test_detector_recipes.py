"""The recipes of detectors on DrawnDigits run from end to end, on a handful of scenes."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from fastcv import recipes
from fastcv.data import DrawnDigits
from fastcv.models import load_model

DETECTORS = [
    name
    for name in recipes.by_chapter()["detection"]
    if name.startswith("digits_") and name != "digits_detector"
]
LENGTHS = {"train": 16, "svms": 16, "pictures": 96, "val": 4, "test": 4}


class Few(Subset):
    """The first items of a data set."""

    classes = DrawnDigits.classes

    def __init__(self, data, length):
        super().__init__(data, range(length))


def few_of(part, make):
    return lambda: Few(make(), LENGTHS[part])


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_trains(name, tmp_path, capsys):
    whole = recipes.get(name)
    recipe = replace(whole, data={part: few_of(part, make) for part, make in whole.data.items()})
    torch.manual_seed(0)
    before = recipe.build().state_dict()
    metrics = recipe.train(tmp_path, epochs=1, device="cpu")
    assert 0 <= metrics["AP50"] < 0.5  # a few steps teach little
    assert set(recipe.level.metrics) <= set(metrics)
    weights = tmp_path / f"{name}.safetensors"
    model = load_model(weights)
    assert model.classes == DrawnDigits.classes
    assert sum(p.numel() for p in model.parameters()) < 15e6  # what minutes can train
    after = model.state_dict()
    assert list(before) == list(after)
    changed = [key for key in before if not torch.equal(before[key].half(), after[key].half())]
    assert len(changed) > len(before) / 2
    assert recipe.evaluate(weights, device="cpu")["AP50"] == metrics["AP50"]
    recipe.demo(tmp_path, weights)
    assert "together: " in capsys.readouterr().out
    with Image.open(tmp_path / "digits.png") as picture:
        assert picture.size == (3 * 384 + 4 * 8, 2 * 384 + 3 * 8)


@pytest.mark.parametrize("name", DETECTORS)
def test_no_weights_ship(name):
    with pytest.raises(ValueError, match="no weights of this recipe ship: train first"):
        recipes.get(name).evaluate()


def test_the_hourglasses_are_alike():
    """What digits_cornernet and digits_centernet_triplet share is the same network."""
    corner, triplet = (
        recipes.get(name).build().state_dict()
        for name in ("digits_cornernet", "digits_centernet_triplet")
    )
    shared = {key for key in corner if key.startswith("backbone.")}
    assert shared and shared <= set(triplet)
    assert all(corner[key].shape == triplet[key].shape for key in shared)
